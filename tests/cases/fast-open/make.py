#!/usr/bin/python3
"""TCP Fast Open (RFC 7413): the cookie is asked for, used with data, and refused."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

COOKIE = bytes.fromhex("c001d00dc001d00d")
REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

capture = craft.Capture()


def with_cookie(side, at, cookie):
    return side.syn_options(at) + craft.fast_open(cookie)


asked = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
asked.client.syn(at=0, options=with_cookie(asked.client, 0, b""))
asked.server.synack(at=0.001, options=with_cookie(asked.server, 0.001, COOKIE))
asked.client.ack(at=0.011)
asked.client.data(REQUEST, at=0.012)
asked.server.data(RESPONSE, at=0.013)
asked.close(at=0.030)

used = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
used.client.send(1, craft.SYN, REQUEST, options=with_cookie(used.client, 1, COOKIE), window=64240, ack=0)
used.server.synack(at=1.001)  # acknowledges the request as well
used.server.data(RESPONSE, at=1.0012)
used.client.ack(at=1.011)
used.close(at=1.030)

refused = capture.flow("10.0.0.1:40003", "10.0.0.2:80")
syn = refused.client.send(2, craft.SYN, REQUEST, options=with_cookie(refused.client, 2, bytes(8)), window=64240, ack=0)
refused.server.synack(at=2.001, ack=syn.seq + 1, options=with_cookie(refused.server, 2.001, COOKIE))
refused.client.data(REQUEST, at=2.011, seq=syn.seq + 1)
refused.server.data(RESPONSE, at=2.012)
refused.close(at=2.030)

capture.write_beside(__file__)
