#!/usr/bin/python3
"""Attempts that one side breaks off."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()

# The program closes its socket before anybody answered; a SYN-ACK would have come.
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
syn = flow.client.syn(at=0)
flow.client.reset(at=0.005, seq=syn.end, ack=0)

# A scanner: it has seen the SYN-ACK, that is all it wanted to know.
flow = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
flow.client.syn(at=1)
flow.server.synack(at=1.001)
flow.client.bare_reset(at=1.011)

# The server thinks better of it after its SYN-ACK.
flow = capture.flow("10.0.0.1:40003", "10.0.0.2:80")
flow.client.syn(at=2)
flow.server.synack(at=2.001)
flow.server.reset(at=2.005)

# Established first, then reset by the server: the handshake stays established.
flow = capture.flow("10.0.0.1:40004", "10.0.0.2:80")
flow.open(at=3)
flow.server.reset(at=3.012)
capture.write_beside(__file__)
