#!/usr/bin/python3
"""Silence for longer and for shorter than --idle."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()

# Never closed, and silent after its first exchange.
silent = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
silent.open(at=0)
silent.client.data(b"a" * 60, at=1)
silent.server.data(b"A" * 50, at=1.001)

# Silent for 299 s, then used again.
slow = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
slow.open(at=2)
slow.client.data(b"a" * 60, at=301)
slow.server.data(b"A" * 50, at=301.001)

# The first is gone by now: an answer to nobody.
silent.server.data(b"B" * 50, at=320)
slow.close(at=330)
capture.write_beside(__file__)
