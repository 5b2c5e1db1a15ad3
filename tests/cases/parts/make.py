#!/usr/bin/python3
"""A long connection reported in parts."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
# An exchange at 10 s and every 30 s after it until 130 s, nothing until 250 s, then the end.
for at in (10, 40, 70, 100, 130):
    flow.client.data(b"a" * 10, at=at)
    flow.server.data(b"A" * 20, at=at + 0.001)
    flow.client.ack(at=at + 0.011)
flow.close(at=250)

# A short one in between: it is reported whole.
short = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
short.open(at=251)
short.close(at=252)
capture.packets.sort(key=lambda packet: packet[0])
capture.write_beside(__file__)
