#!/usr/bin/python3
"""A RST in answer to a SYN, with and without an acceptable ACK (RFC 9293 section 3.10.7.3)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()

# It acknowledges the SYN.
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:81")
flow.client.syn(at=0)
flow.server.reset(at=0.001)

# It acknowledges something else: a client ignores it, and so its SYN comes again, and is answered.
flow = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
syn = flow.client.syn(at=0.1)
flow.server.reset(at=0.101, ack=syn.end + 77)
flow.client.again(syn, at=1.1)
flow.server.synack(at=1.101)
flow.client.ack(at=1.111)
flow.close(at=1.2)

# It acknowledges something else, and nothing better follows.
flow = capture.flow("10.0.0.1:40003", "10.0.0.2:81")
syn = flow.client.syn(at=2)
flow.server.reset(at=2.001, ack=syn.seq)
capture.write_beside(__file__)
