#!/usr/bin/python3
"""A server whose accept queue is full drops the ACK of the handshake, and what comes after it. Captured near the client."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

capture = craft.Capture()
# The first data is sent again until there is room.
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0, server_rtt=0.010, client_rtt=0.001)
asked = flow.client.data(GET, at=0.020, lost=True)
flow.client.again(asked, at=0.230, lost=True)
flow.client.again(asked, at=0.650, lost=True)
synack = craft.Segment(0.010, flow.server.isn, flow.client.isn + 1, craft.SYN | craft.ACK, b"", 65160, b"", 64, 0)
flow.server.again(synack, at=1.010)
flow.client.ack(at=1.011)
flow.client.again(asked, at=1.490)
flow.server.data(ANSWER, at=1.510)
flow.client.ack(at=1.511)
flow.close(at=1.6, server_rtt=0.010, client_rtt=0.001)
# The client waits with its data: the SYN-ACK comes again.
flow = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
flow.open(at=2, server_rtt=0.010, client_rtt=0.001)
synack = craft.Segment(2.010, flow.server.isn, flow.client.isn + 1, craft.SYN | craft.ACK, b"", 65160, b"", 64, 0)
flow.server.again(synack, at=3.010)
flow.client.ack(at=3.011)
flow.client.data(GET, at=3.200)
flow.server.data(ANSWER, at=3.220)
flow.client.ack(at=3.221)
flow.close(at=3.6, server_rtt=0.010, client_rtt=0.001)
# A SYN-ACK that is lost before it comes by here: SYN and SYN-ACK cross. Nobody's queue is full.
flow = capture.flow("10.0.0.1:40003", "10.0.0.2:80")
syn = flow.client.syn(at=4)
flow.client.again(syn, at=5)
synack = flow.server.synack(at=5.009)
flow.client.ack(at=5.0095)
flow.server.again(synack, at=5.010)
flow.client.ack(at=5.011)
flow.client.data(GET, at=5.020)
flow.server.data(ANSWER, at=5.040)
flow.client.ack(at=5.041)
flow.close(at=5.6, server_rtt=0.010, client_rtt=0.001)
capture.write_beside(__file__)
