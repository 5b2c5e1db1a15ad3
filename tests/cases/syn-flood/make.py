#!/usr/bin/python3
"""A flood of SYNs, and a few connections that must survive it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
alive = [capture.flow(f"10.0.0.1:{port}", "10.0.0.2:80") for port in (40001, 40002, 40003)]
for number, flow in enumerate(alive):
    flow.open(at=number / 10)
for number in range(400):
    source = f"198.51.100.{number % 250 + 1}:{1024 + number}"
    capture.flow(source, "10.0.0.2:80", client_isn=number * 1000).client.syn(at=1 + number / 1000)
for number, flow in enumerate(alive):
    flow.client.data(b"a" * 60, at=2 + number / 10)
    flow.server.data(b"A" * 50, at=2.001 + number / 10)
    flow.close(at=2.010 + number / 10)
capture.write_beside(__file__)
