#!/usr/bin/python3
"""SYN-ACKs that are repeated; seen beside the server."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()

# The client's ACK was lost before the tap, or the first SYN-ACK behind it: nobody can tell.
once = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
once.client.syn(at=0)
synack_once = once.server.synack(at=0.000020)

# A client that is gone, or a SYN with a forged source.
never = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
never.client.syn(at=0.5)
synack_never = never.server.synack(at=0.500020)

once.server.again(synack_once, at=1.000)
once.client.ack(at=1.025)

never.server.again(synack_never, at=1.500)

# The SYN-ACK was lost behind the tap: the client repeats its SYN, the server answers at once.
both = capture.flow("10.0.0.1:40003", "10.0.0.2:80")
syn = both.client.syn(at=2)
synack_both = both.server.synack(at=2.000020, lost=True)
both.client.again(syn, at=3)
both.server.again(synack_both, at=3.000030)
both.client.ack(at=3.040)

for at in (3.5, 7.5, 15.5, 31.5):
    never.server.again(synack_never, at)

capture.write_beside(__file__)
