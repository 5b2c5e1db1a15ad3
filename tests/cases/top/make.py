#!/usr/bin/python3
"""One host's connections of twelve seconds: good, refused, unheard, reset, kept alive, and one to itself."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
HOST = "10.0.0.1"

# Three requests of 100 bytes, answers of 300 after 20, 40 and 60 ms; the client closes first.
web = capture.flow(f"{HOST}:40001", "10.0.0.2:80")
web.open(at=0, server_rtt=0.002, client_rtt=0)
for n in (1, 2, 3):
    web.client.data(b"q" * 100, at=n)
    web.server.data(b"a" * 300, at=n + 0.02 * n)
    web.client.ack(at=n + 0.02 * n + 0.0001)
web.close(at=3.9, server_rtt=0.002, client_rtt=0)

# Refused twice.
for n in (0, 1):
    refused = capture.flow(f"{HOST}:{40010 + n}", "10.0.0.3:6379")
    refused.client.syn(at=0.5 + n)
    refused.server.reset(at=0.501 + n)

# Nobody answers: three SYNs of one attempt.
silent = capture.flow(f"{HOST}:40020", "10.0.0.4:443")
first = silent.client.syn(at=2)
silent.client.again(first, at=3)
silent.client.again(first, at=5)

# From elsewhere to here: one request, and the server resets the connection without an answer.
inbound = capture.flow("10.0.9.9:50001", f"{HOST}:8080")
inbound.open(at=4, server_rtt=0, client_rtt=0.030)
inbound.client.data(b"q" * 10, at=4.1)
inbound.server.ack(at=4.1001)
inbound.server.reset(at=4.2)

# A banner, then a request each second, and the connection stays open.
kept = capture.flow(f"{HOST}:40030", "10.0.0.5:9000")
kept.open(at=1.5, server_rtt=0.001, client_rtt=0)
kept.server.data(b"hello\n", at=1.51)
kept.client.ack(at=1.5101)
for n in range(2, 12):
    kept.client.data(b"q" * 50, at=n + 0.5)
    answer = kept.server.data(b"a" * 500, at=n + 0.505)
    kept.client.ack(at=n + 0.5051)
    if n == 7:
        # A segment that came already.
        kept.server.again(answer, at=n + 0.6)
        kept.client.ack(at=n + 0.6001)

capture.packets.sort(key=lambda packet: packet[0])
capture.write_beside(__file__)
