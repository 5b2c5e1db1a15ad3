#!/usr/bin/python3
"""Captures that show one direction only; two of them together show both."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

both = craft.Capture()
flow = both.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
flow.client.data(b"a" * 60, at=0.020)
flow.server.data(b"A" * 50, at=0.021)
flow.client.ack(at=0.031)
flow.close(at=0.040)

CLIENT = craft.mac("10.0.0.1")
client, server = craft.Capture(), craft.Capture()
for at, frame in both.packets:
    side = client if frame[6:12] == CLIENT else server
    side.packets.append((at, frame))
client.write_beside(__file__)
server.write_beside(__file__, "other-direction.pcap")
