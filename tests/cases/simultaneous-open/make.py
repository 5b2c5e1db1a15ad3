#!/usr/bin/python3
"""Two hosts open towards each other at the same time (RFC 9293 section 3.5, figure 8)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:5000", "10.0.0.2:5001")
a, b = flow.client, flow.server
syn_a = a.syn(at=0)
syn_b = b.syn(at=0.005)
a.send(0.010, craft.SYN | craft.ACK, seq=syn_a.seq, ack=syn_b.end, options=a.syn_options(0.010), window=64240)
b.send(0.015, craft.SYN | craft.ACK, seq=syn_b.seq, ack=syn_a.end, options=b.syn_options(0.015), window=65160)
a.data(b"hello from a\n", at=0.020)
b.data(b"hello from b\n", at=0.025)
a.ack(at=0.030)
flow.close(at=0.040)
capture.write_beside(__file__)
