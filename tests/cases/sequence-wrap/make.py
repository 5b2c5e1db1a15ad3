#!/usr/bin/python3
"""Both sequence spaces pass 2^32, one of them inside a segment that is repeated."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:9000", client_isn=2**32 - 100, server_isn=2**32 - 1)
flow.open(at=0)
flow.client.data(b"a" * 60, at=0.020)
flow.server.data(b"A" * 50, at=0.021)
across = flow.client.data(b"b" * 60, at=0.040, lost=True)
flow.client.again(across, at=0.340)
flow.server.data(b"B" * 50, at=0.341)
flow.client.data(b"c" * 60, at=0.360)
flow.server.data(b"C" * 50, at=0.361)
flow.client.ack(at=0.371)
flow.close(at=0.400)
capture.write_beside(__file__)
