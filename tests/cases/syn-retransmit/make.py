#!/usr/bin/python3
"""The first two SYNs get no answer, the third does; seen beside the client."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture(nanoseconds=True)
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
syn = flow.client.syn(at=0, lost=True)
flow.client.again(syn, at=1.024, lost=True)
flow.client.again(syn, at=3.040)
flow.server.synack(at=3.070)
flow.client.ack(at=3.070040500)
flow.client.data(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", at=3.070100)
flow.server.data(b"HTTP/1.1 204 No Content\r\n\r\n", at=3.102)
flow.close(at=3.110, server_rtt=0.030, client_rtt=0.00004)
capture.write_beside(__file__)
