#!/usr/bin/python3
"""The same addresses and ports twice: while half open, and after a close."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

capture = craft.Capture()

# Half open: the first attempt is given up by its program, the next one gets the same port.
ends = ("10.0.0.1:40001", "10.0.0.2:80")
first = capture.flow(*ends, client_isn=1_000_000)
first.client.syn(at=0)
second = capture.flow(*ends, client_isn=777_000_000, server_isn=5_000_000)
second.client.syn(at=0.050)
second.server.synack(at=0.060)
second.client.ack(at=0.070)
second.close(at=0.080)

# TIME-WAIT: closed by both sides, then opened again half a second later with a higher sequence number (RFC 6191).
ends = ("10.0.0.1:40002", "10.0.0.2:80")
for at, isn in ((1, 1_000_000), (2, 900_000_000)):
    flow = capture.flow(*ends, client_isn=isn, server_isn=isn + 4_000_000)
    flow.open(at)
    flow.client.data(REQUEST, at=at + 0.012)
    flow.server.data(RESPONSE, at=at + 0.013)
    flow.close(at=at + 0.500)

capture.write_beside(__file__)
