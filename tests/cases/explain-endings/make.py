#!/usr/bin/python3
"""Four connections: refused at the second SYN, reset by the server, closed by one side long before the other, and one whose beginning is missing."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
refused = capture.flow("10.0.0.1:40001", "10.0.0.2:81")
syn = refused.client.syn(at=0)
refused.client.again(syn, at=1.000)
refused.server.reset(at=1.0005)

reset = capture.flow("10.0.0.1:40002", "10.0.0.2:80", client_isn=2_000_000)
reset.open(at=2.000)
reset.client.data(b"GET /gone HTTP/1.1\r\nHost: a.example\r\n\r\n", at=2.020)
reset.server.reset(at=2.500)

half = capture.flow("10.0.0.1:40003", "10.0.0.2:80", client_isn=3_000_000)
half.open(at=3.000)
half.client.data(b"GET /last HTTP/1.0\r\nHost: a.example\r\n\r\n", at=3.020)
half.client.fin(at=3.0201)
half.server.ack(at=3.021)
half.server.data(b"HTTP/1.0 200 OK\r\n\r\nhello", at=5.000)
half.client.ack(at=5.010)
half.server.fin(at=5.020)
half.client.ack(at=5.030)

middle = capture.flow("10.0.0.1:40004", "10.0.0.2:6379", client_isn=4_000_000)
middle.client.data(b"*1\r\n$4\r\nPING\r\n", at=6.000)
middle.server.data(b"+PONG\r\n", at=6.001)
# The capture missed a response, which the client acknowledges.
middle.client.data(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", at=6.020)
middle.server.never_captured(b"$1\r\n1\r\n")
middle.client.data(b"*1\r\n$4\r\nPING\r\n", at=6.040, ack=middle.server.next)
middle.server.data(b"+PONG\r\n", at=6.041)
middle.client.ack(at=6.051)
capture.write_beside(__file__)
