#!/usr/bin/python3
"""What a mirror port shows twice, and what was really sent twice."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture(nanoseconds=True)


def exchange(client, server, at):
    """Every packet is seen again 40 us later, behind a router."""

    def twice(side, segment):
        side.seen_again(segment, segment.at + 0.000040, ttl_less=1)

    twice(client, client.syn(at))
    twice(server, server.synack(at + 0.001))
    twice(client, client.ack(at + 0.002))
    twice(client, client.data(b"a" * 100, at + 0.003))
    twice(server, server.data(b"A" * 200, at + 0.004))
    twice(client, client.ack(at + 0.005))
    twice(client, client.fin(at + 0.006))
    twice(server, server.fin(at + 0.007))
    twice(client, client.ack(at + 0.008))


# IPv4, and IPv6 (no IP ID): every packet twice.
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:9000")
exchange(flow.client, flow.server, at=0)
flow = capture.flow("[2001:db8::1]:40002", "[2001:db8::2]:9000")
exchange(flow.client, flow.server, at=1)

# A real retransmission on a 30 us path: same millisecond, so the same timestamp value, but its own IP ID.
flow = capture.flow("10.0.0.1:40003", "10.0.0.2:9000")
flow.open(at=2, server_rtt=0.000030, client_rtt=0.000005)
segment = flow.client.data(b"a" * 100, at=2.000100)
flow.client.again(segment, at=2.000130)
flow.server.ack(at=2.000140)
flow.close(at=2.001, server_rtt=0.000030, client_rtt=0.000005)

# IPv6 without timestamps: only the capture time can tell. At the same nanosecond: seen twice. 30 us later: sent twice.
flow = capture.flow("[2001:db8::1]:40004", "[2001:db8::2]:9000", stamps=False)
flow.open(at=3, server_rtt=0.000030, client_rtt=0.000005)
segment = flow.client.data(b"a" * 100, at=3.000100)
flow.client.seen_again(segment, at=3.000100)
flow.server.ack(at=3.000130)
segment = flow.client.data(b"b" * 100, at=3.000200)
flow.client.again(segment, at=3.000230)
flow.server.ack(at=3.000240)
flow.close(at=3.001, server_rtt=0.000030, client_rtt=0.000005)

capture.write_beside(__file__)
