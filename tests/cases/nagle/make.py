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

# A server 30 ms away, seen beside its client, that sends a piece every 60 ms, whatever is acknowledged: each comes 20 ms after
# the ACK of the one before, sooner than one that waited for it could.
flow = capture.flow("10.0.0.1:40003", "192.0.2.9:80")
flow.open(at=4, server_rtt=0.030, client_rtt=0.00005)
flow.client.data(b"GET /events HTTP/1.1\r\nHost: a.example\r\n\r\n", at=4.040)
flow.server.data(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", at=4.071)
flow.client.ack(at=4.0711)
for piece in range(6):
    flow.server.data(BODY, at=4.131 + 0.060 * piece)
    flow.client.ack(at=4.171 + 0.060 * piece)
flow.close(at=5, server_rtt=0.030, client_rtt=0.00005)
capture.write_beside(__file__)
