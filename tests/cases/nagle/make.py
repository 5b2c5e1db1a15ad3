#!/usr/bin/python3
"""Messages in two small pieces, the second of which waits for a delayed ACK; and what looks like it, but is not."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

HEAD = b"POST /n HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n"
LONG = HEAD.replace(b" 10", b" 1200")
BODY = b"0123456789"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

capture = craft.Capture()

flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)  # 1 ms to the server and back, 10 ms to the client
for at, acked, sent, head, body in (
    (0.100, 0.141, 0.151, HEAD, BODY),  # held
    (0.200, 0.241, 0.2535, HEAD, BODY),  # 12.5 ms after the ACK: not sent because of it
    (0.300, 0.3305, 0.3405, HEAD, BODY),  # the ACK was 29.5 ms late: no delayed one
    (0.400, 0.441, 0.451, LONG, BODY * 120),  # a full segment does not wait
):
    flow.client.data(head, at=at)
    flow.server.ack(at=acked)
    flow.client.data(body, at=sent)
    flow.server.data(ANSWER, at=sent + 0.002)
    flow.client.ack(at=sent + 0.012)
# The server speaks between: the client answers that.
flow.client.data(HEAD, at=0.500)
flow.server.ack(at=0.541)
flow.server.data(b"HTTP/1.1 100 Continue\r\n\r\n", at=0.542)
flow.client.data(BODY, at=0.552)
flow.server.data(ANSWER, at=0.554)
flow.client.ack(at=0.564)
flow.close(at=1)

flow = capture.flow("10.0.0.1:40002", "10.0.0.2:80")
flow.open(at=2)
flow.client.data(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", at=2.100)
flow.server.data(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", at=2.102)
flow.client.ack(at=2.157)
flow.server.data(BODY, at=2.1581)  # held
flow.client.ack(at=2.169)
flow.close(at=3)
capture.write_beside(__file__)
