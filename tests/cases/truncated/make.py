#!/usr/bin/python3
"""A capture file that ends inside a packet."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
flow.client.data(b"a" * 60, at=0.020)
flow.server.data(b"A" * 50, at=0.021)
flow.close(at=0.040)
capture.write_beside(__file__, cut=70)
