#!/usr/bin/python3
"""A connection in a VLAN, one in a VLAN inside a service provider's VLAN."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
for port, vlan, at in ((40001, 100, 0), (40002, (200, 10), 1)):
    flow = capture.flow(f"10.0.0.1:{port}", "10.0.0.2:80", vlan=vlan)
    flow.open(at)
    flow.client.data(b"a" * 60, at=at + 0.020)
    flow.server.data(b"A" * 50, at=at + 0.021)
    flow.close(at=at + 0.040)
capture.write_beside(__file__)
