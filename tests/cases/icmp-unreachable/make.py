#!/usr/bin/python3
"""Attempts answered by ICMP and ICMPv6 destination unreachable; one answer quotes a SYN that was never sent."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

import dataclasses  # noqa: E402

ROUTER, ROUTER6 = "10.0.0.254", "2001:db8::fe"

capture = craft.Capture()

for order, code in enumerate((0, 1, 3, 13)):
    flow = capture.flow(f"10.0.0.1:{40000 + code}", "10.0.1.2:80")
    syn = flow.client.syn(at=order)
    flow.client.icmp_unreachable(syn, code, at=order + 0.002, router=ROUTER)

for order, code in enumerate((0, 1, 3, 4), start=4):
    flow = capture.flow(f"[2001:db8::1]:{41000 + code}", "[2001:db8:1::2]:80")
    syn = flow.client.syn(at=order)
    flow.client.icmp_unreachable(syn, code, at=order + 0.003, router=ROUTER6, quoted=40)

# Somebody else's guess: the tuple fits, the sequence number does not (RFC 5927 section 4.1).
flow = capture.flow("10.0.0.1:42000", "10.0.1.2:80")
syn = flow.client.syn(at=8)
forged = dataclasses.replace(syn, seq=syn.seq + 12345)
flow.client.icmp_unreachable(forged, 1, at=8.002, router=ROUTER)

# The SYN is repeated before the answer comes.
flow = capture.flow("10.0.0.1:42001", "10.0.1.2:80")
syn = flow.client.syn(at=9)
syn = flow.client.again(syn, at=10)
flow.client.icmp_unreachable(syn, 1, at=10.050, router=ROUTER, quoted=40)

capture.write_beside(__file__)
