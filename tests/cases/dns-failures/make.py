#!/usr/bin/python3
"""A resolver that knows some names, not others, fails for one and leaves one unanswered."""

import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
RESOLVER = "10.0.0.53:53"


def message(number, flags, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", number, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


capture = craft.Capture()
for n in range(20):
    name, code = (
        ("www.shop.example", NOERROR),
        ("gone.shop.example", NXDOMAIN),
        ("broken.shop.example", SERVFAIL),
        ("dead.shop.example", None),
    )[n % 4]
    client, at = f"10.0.0.1:{40000 + n}", n / 2
    capture.udp(client, RESOLVER, message(1000 + n, 0x0100, name), at)
    if code is not None:
        capture.udp(RESOLVER, client, message(1000 + n, 0x8180 | code, name), at + 0.002)
capture.write_beside(__file__)
