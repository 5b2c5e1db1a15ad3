#!/usr/bin/python3
"""Three connection attempts that are answered by RST+ACK."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()

plain = capture.flow("10.0.0.1:40001", "10.0.0.2:81")
plain.client.syn(at=0)
plain.server.reset(at=0.0003)

tagged = capture.flow("[2001:db8::1]:40002", "[2001:db8::2]:81", vlan=5)
tagged.client.syn(at=0.1)
tagged.server.reset(at=0.1004)

retried = capture.flow("10.0.0.1:40003", "10.0.0.2:81")
syn = retried.client.syn(at=0.2)
retried.client.again(syn, at=1.2)
retried.server.reset(at=1.2005)

capture.write_beside(__file__)
