#!/usr/bin/python3
"""Requests that do not wait for the answers to those before: five in two segments, and three hundred one after the other."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:6379")
flow.open(at=0)


def get(n):
    return b"*2\r\n$3\r\nGET\r\n$1\r\n%d\r\n" % (n % 10)


flow.client.data(get(1) + get(2) + get(3), at=0.020)
flow.client.data(get(4) + get(5), at=0.0201)
flow.server.data(b"$1\r\n1\r\n", at=0.030)
flow.server.data(b"$1\r\n2\r\n$1\r\n3\r\n", at=0.180)
flow.server.data(b"$1\r\n4\r\n$1\r\n5\r\n", at=0.1801)
flow.client.ack(at=0.1901)
for n in range(300):
    at = 0.200 + n / 1000
    flow.client.data(get(n), at=round(at, 6))
    # One of them is slow.
    late = 0.0005 if n != 150 else 0.0008
    flow.server.data(b"$1\r\n%d\r\n" % (n % 10), at=round(at + late, 6))
flow.client.ack(at=0.510)
flow.close(at=0.520)
capture.write_beside(__file__)
