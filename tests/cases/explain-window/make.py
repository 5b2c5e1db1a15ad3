#!/usr/bin/python3
"""A client that stops reading for two seconds in the middle of a response, and is probed."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

BODY = bytes(range(32, 127)) * 32  # 3040 bytes

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
flow.client.data(b"GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n", at=0.020, window=16)  # 16 << 7 = 2048 bytes
head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"
body = BODY[:3000]
flow.server.data(head + body[: 1024 - len(head)], at=0.030)
flow.server.data(body[1024 - len(head) : 2048 - len(head)], at=0.0301)
flow.client.ack(at=0.050, window=0)
for at in (0.250, 0.650):
    flow.server.ack(at=at, seq=flow.server.next - 1)
    flow.client.ack(at=at + 0.010, window=0)
flow.client.ack(at=2.050, window=502)
flow.server.data(body[2048 - len(head) :], at=2.051)
flow.client.ack(at=2.061)
flow.close(at=2.100)
capture.write_beside(__file__)
