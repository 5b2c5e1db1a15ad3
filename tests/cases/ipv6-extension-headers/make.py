#!/usr/bin/python3
"""TCP behind IPv6 extension headers."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("[2001:db8::1]:40001", "[2001:db8::2]:80")
flow.client.extensions = (craft.HOP_BY_HOP, craft.DESTINATION_OPTIONS)
flow.server.extensions = (craft.ROUTING,)
flow.open(at=0)
flow.client.data(b"a" * 60, at=0.020)
flow.server.data(b"A" * 50, at=0.021)
flow.close(at=0.040)
capture.write_beside(__file__)
