#!/usr/bin/python3
"""A RST that acknowledges nothing, with and without something better after it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()

ignored = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
syn = ignored.client.syn(at=0)
ignored.server.bare_reset(at=0.001)

believed = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
believed.client.syn(at=0.1)
believed.server.bare_reset(at=0.101)

ignored.client.again(syn, at=1)
ignored.server.synack(at=1.010)
ignored.client.ack(at=1.020)
ignored.client.data(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", at=1.021)
ignored.server.data(b"HTTP/1.1 204 No Content\r\n\r\n", at=1.032)
ignored.close(at=1.050)

capture.write_beside(__file__)
