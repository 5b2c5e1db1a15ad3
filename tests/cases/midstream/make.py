#!/usr/bin/python3
"""Two connections of which the capture has not seen the beginning."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

REQUEST = b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

capture = craft.Capture()


def established(flow):
    """As if the handshake had been a minute ago."""
    flow.client.next = flow.server.received = flow.client.isn + 1
    flow.server.next = flow.client.received = flow.server.isn + 1


# The first packet is the server's ACK; its port is the lower one.
late = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
established(late)
late.server.ack(at=0)
for number, at in ((1, 0.100), (2, 0.200)):
    late.client.data(REQUEST % number, at=at)
    late.server.data(RESPONSE, at=at + 0.005)
    late.client.ack(at=at + 0.015)
late.close(at=0.300)

# The capture began between SYN and SYN-ACK; the server has the higher port.
half = capture.flow("10.0.0.1:2000", "10.0.0.2:8080")
half.client.next = half.server.received = half.client.isn + 1
half.server.synack(at=1)
half.client.ack(at=1.010)
half.client.data(REQUEST % 3, at=1.011)
half.server.data(RESPONSE, at=1.016)
half.close(at=1.100)

capture.write_beside(__file__)
