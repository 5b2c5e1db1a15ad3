#!/usr/bin/python3
"""A response with two losses: one repaired by duplicate ACKs, one by a timeout; an upload whose losses lie before this point."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

capture = craft.Capture()
flow = capture.flow("10.0.0.1:40001", "10.0.0.2:80")
flow.open(at=0)
client, server = flow.client, flow.server
client.data(b"GET /big HTTP/1.1\r\nHost: a.example\r\n\r\n", at=0.020)
head = b"HTTP/1.1 200 OK\r\nContent-Length: 8637\r\n\r\n"
whole = head + (bytes(range(32, 127)) * 100)[: 6 * 1448 - len(head)]
parts = [whole[n * 1448 : (n + 1) * 1448] for n in range(6)]
server.data(parts[0], at=0.030)
second = server.data(parts[1], at=0.0301, lost=True)
for n in range(2, 5):
    server.data(parts[n], at=0.030 + n / 10000)
client.ack(at=0.040)
for n in range(3):
    blocks = craft.NOP * 2 + craft.timestamps(client.stamp_value(0.0402), client.last_stamp) + craft.sack((second.end, second.end + (n + 1) * 1448))
    client.ack(at=0.0402 + n / 10000, options=blocks)
server.again(second, at=0.041)
client.ack(at=0.051)
last = server.data(parts[5], at=0.052, lost=True)
server.again(last, at=0.352)
client.ack(at=0.362)
# An upload of which two segments are lost on the way here, and one overtakes another.
client.data(b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4000\r\n\r\n", at=0.400)
body = (bytes(range(32, 127)) * 50)[:4000]
lost = client.never_captured(body[:1000])
client.data(body[1000:2000], at=0.401)
server.ack(at=0.402, ack=lost)
client.send(0.452, craft.ACK, body[:1000], seq=lost)
late = client.never_captured(body[2000:3000])
client.data(body[3000:], at=0.4621, ip_id=client.ip_id + 2)
client.send(0.4623, craft.ACK, body[2000:3000], seq=late, sent_at=0.4619, ip_id=client.ip_id - 1)
server.ack(at=0.463)
server.data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", at=0.470)
client.ack(at=0.480)
flow.close(at=0.500)
capture.write_beside(__file__)
