#!/usr/bin/python3
"""Connections in protocols that nobody knows, so short that they might become one that is known."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()


def exchange(port, start, messages, closes=True):
    """Messages from 20 ms on, 10 ms apart; a client's begins with `>`."""
    flow = capture.flow(f"10.0.0.1:{port}", "10.0.0.2:9000")
    flow.open(at=start)
    at = start + 0.020
    for message in messages:
        side = flow.client if message.startswith(b">") else flow.server
        side.data(message[1:], at=at)
        at += 0.010
    if closes:
        flow.close(at=at)


exchange(40001, 0, [b">ab", b"<cd", b">efg", b"<hi"])
exchange(40002, 1, [b"<220 mail ready\r\n", b">EHLO x\r\n", b"<250 ok\r\n", b">QUIT\r\n", b"<221 bye\r\n"])
exchange(40003, 2, [b"<J\0\0\0\n8.0greeting", b">\5\0\0\1login", b"<\7\0\0\2ok"], closes=False)
exchange(40004, 3, [b">ab"])
capture.write_beside(__file__)
