#!/usr/bin/python3
"""A retransmission that was not needed: the receiver reports the segment as a duplicate (RFC 2883)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
flow.client.data(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", at=0.020)
one = flow.server.data(b"HTTP/1.1 200 OK\r\nContent-Length: 960\r\n\r\n" + b"a" * 960, at=0.030)
flow.server.again(one, at=0.240)
flow.client.ack(at=0.245, echo=flow.server.stamp_value(0.030))  # the answer to the first, held up on its way
duplicate = craft.NOP * 2 + craft.sack((one.seq, one.end))
flow.client.ack(at=0.250, options=flow.client.stamps(0.250) + duplicate)
flow.close(at=0.300)
capture.write_beside(__file__)
