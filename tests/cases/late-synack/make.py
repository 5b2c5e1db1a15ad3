#!/usr/bin/python3
"""A SYN-ACK after the timeout."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
syn = flow.client.syn(at=0)
flow.server.synack(at=59)
flow.client.ack(at=59.010)
flow.close(at=59.1)

late = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
late.client.syn(at=100)
late.server.synack(at=165)
late.client.ack(at=165.010)
late.client.data(b"a" * 60, at=165.020)
late.server.data(b"A" * 50, at=165.021)
late.close(at=165.1)
capture.write_beside(__file__)
