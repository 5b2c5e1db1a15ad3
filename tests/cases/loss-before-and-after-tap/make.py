#!/usr/bin/python3
"""Four responses of three segments; what happens to the second one differs."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2959\r\n\r\n"  # 41 bytes
ONE, TWO, THREE = (HEAD + b"a" * 959, b"b" * 1000, b"c" * 1000)

capture = craft.Capture(nanoseconds=True)


def asked(port, at):
    flow = capture.flow(f"10.0.0.1:{port}", "10.0.0.2:80")
    flow.open(at)
    flow.client.data(REQUEST, at=at + 0.020)
    return flow


def selective_ack(flow, at, three):
    """The client has the first and the third segment."""
    flow.client.ack(at, options=flow.client.stamps(at) + craft.NOP * 2 + craft.sack((three.seq, three.end)))


# Lost behind the tap: the second segment is seen, and seen again 30 ms later.
flow = asked(40001, at=0)
flow.server.data(ONE, at=0.030)
two = flow.server.data(TWO, at=0.031, lost=True)
three = flow.server.data(THREE, at=0.032)
selective_ack(flow, 0.042, three)
flow.server.again(two, at=0.061)
flow.client.ack(at=0.071)
flow.close(at=0.100)

# Lost before the tap: a hole, filled 30 ms later by a segment with a newer timestamp than the third's.
flow = asked(40002, at=1)
flow.server.data(ONE, at=1.030)
seq = flow.server.never_captured(TWO)
three = flow.server.data(THREE, at=1.032)
selective_ack(flow, 1.042, three)
flow.server.data(TWO, at=1.061, seq=seq)
flow.client.ack(at=1.071)
flow.close(at=1.100)

# Reordered before the tap: the same hole, filled by a segment that left before the third.
flow = asked(40003, at=2)
flow.server.data(ONE, at=2.030)
seq = flow.server.never_captured(TWO)
flow.server.data(THREE, at=2.0320, ip_id=30002)
flow.server.data(TWO, at=2.0325, seq=seq, sent_at=2.031, ip_id=30001)
flow.client.ack(at=2.043)
flow.close(at=2.100)

# The same within one millisecond: the timestamps are equal, the IP IDs are not.
flow = asked(40004, at=3)
flow.server.data(ONE, at=3.0300, ip_id=30000)
seq = flow.server.never_captured(TWO)
flow.server.data(THREE, at=3.0302, ip_id=30002)
flow.server.data(TWO, at=3.0303, seq=seq, ip_id=30001)
flow.client.ack(at=3.041)
flow.close(at=3.100)

capture.write_beside(__file__)
