#!/usr/bin/python3
"""Keep-alive probes on an idle connection: two of zero bytes, one of one byte."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

REQUEST = b"PING\r\n"
RESPONSE = b"+PONG\r\n"

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:6379")
flow.open(at=0)
flow.client.data(REQUEST, at=0.020)
flow.server.data(RESPONSE, at=0.021)
flow.client.ack(at=0.031)
for at in (75, 150):
    flow.client.ack(at=at, seq=flow.client.next - 1)
    flow.server.ack(at=at + 0.001)
flow.client.send(225, craft.ACK, b"\0", seq=flow.client.next - 1)  # older systems send a byte of garbage
flow.server.ack(at=225.001)
flow.client.data(REQUEST, at=230)
flow.server.data(RESPONSE, at=230.001)
flow.client.ack(at=230.011)
flow.close(at=230.1)
capture.write_beside(__file__)
