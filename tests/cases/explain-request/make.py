#!/usr/bin/python3
"""Two connections: one with two requests, a slow one among them, and keep-alive probes; one that only opens."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
other = capture.flow("10.0.0.1:40002", "10.0.0.2:80", client_isn=7_000_000)
other.open(at=0.012)
flow.client.data(b"GET /quick HTTP/1.1\r\nHost: a.example\r\n\r\n", at=0.020)
flow.server.data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", at=0.023)
flow.client.ack(at=0.033)
# Nobody asks for anything: the client's kernel probes, twice.
for at in (15.033, 30.033):
    flow.client.ack(at=at, seq=flow.client.next - 1)
    flow.server.ack(at=at + 0.001)
flow.client.data(b"GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n", at=31.000)
flow.server.ack(at=31.040)
head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4000\r\n\r\n"
body = bytes(range(32, 127)) * 43
whole = head + body[:4000]
for n in range(3):
    flow.server.data(whole[n * 1448 : (n + 1) * 1448], at=33.500 + n * 0.002)
flow.client.ack(at=33.514)
flow.close(at=33.600)
capture.write_beside(__file__)
