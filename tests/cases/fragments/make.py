#!/usr/bin/python3
"""Segments in IP fragments: out of order, over IPv6, and one that stays incomplete."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()

# IPv4: 3032 bytes of TCP in three pieces; the last one comes before the second.
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
flow.client.data(b"a" * 60, at=0.020)
flow.server.data(b"A" * 3000, at=0.021, pieces=((0, 1480), (2960, 1480), (1480, 1480)))
flow.client.ack(at=0.031)
flow.close(at=0.040)

# IPv6: two pieces in order.
flow = capture.flow("[2001:db8::1]:40002", "[2001:db8::2]:80")
flow.open(at=1)
flow.client.data(b"a" * 60, at=1.020)
flow.server.data(b"A" * 2000, at=1.021, pieces=((0, 1448), (1448, 1448)))
flow.client.ack(at=1.031)
flow.close(at=1.040)

# IPv4: of three pieces the second never comes; the data comes again 300 ms later in one packet.
flow = capture.flow("10.0.0.1:40003", "10.0.0.2:80")
flow.open(at=2)
flow.client.data(b"a" * 60, at=2.020)
segment = flow.server.data(b"A" * 3000, at=2.021, pieces=((0, 1480), (2960, 1480)), lost=True)
flow.server.again(segment, at=2.321)
flow.client.ack(at=2.331)
flow.close(at=2.340)
capture.write_beside(__file__)
