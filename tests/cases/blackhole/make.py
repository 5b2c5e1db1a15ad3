#!/usr/bin/python3
"""One connect() to an address that swallows everything: eleven SYNs, as Linux 6.18 sends them."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

# Seconds, from a real connect() with net.ipv4.tcp_syn_retries=6 and tcp_syn_linear_timeouts=4, rounded to milliseconds.
REPEATS = (1.011, 2.035, 3.059, 4.083, 5.107, 7.123, 11.347, 19.539, 35.667, 69.207)

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.99:443")
syn = flow.client.syn(at=0)
for at in REPEATS:
    flow.client.again(syn, at)
capture.write_beside(__file__)
