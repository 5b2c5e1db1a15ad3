#!/usr/bin/python3
"""A client with room for 2048 bytes, 11 ms away: one window per round trip. Then one whose window is wide."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

GET = b"GET /file HTTP/1.1\r\nHost: a.example\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 24534\r\n\r\n"
FILE = HEAD + bytes(range(32, 127)) * 300
FILE = FILE[: 12 * 2048]

capture = craft.Capture()
for port, window in ((40001, 16), (40002, 502)):  # times 2^7
    flow = capture.flow(f"10.0.0.1:{port}", "10.0.0.2:80")
    flow.client.window = window
    start = port - 40001
    flow.open(at=start)
    for request in range(3):
        at = round(start + 0.1 + 0.2 * request, 6)
        flow.client.data(GET, at=at)
        for n in range(12):
            sent = round(at + 0.001 + 0.011 * n, 6)
            flow.server.data(FILE[2048 * n : 2048 * n + 1024], at=sent)
            flow.server.data(FILE[2048 * n + 1024 : 2048 * n + 2048], at=round(sent + 0.00001, 6))
            flow.client.ack(at=round(sent + 0.01, 6))
    flow.close(at=start + 0.8)
capture.write_beside(__file__)
