#!/usr/bin/python3
"""One HTTP exchange in a VLAN over IPv6, and DNS over UDP, one answer of it in fragments."""

import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

UDP = 17
capture = craft.Capture(nanoseconds=True)

flow = capture.flow("[2001:db8::1]:40001", "[2001:db8::2]:80", vlan=5)
syn = flow.client.syn(at=0)
flow.client.again(syn, at=1)
flow.server.synack(at=1.000300250)
flow.client.ack(at=1.010)
flow.client.data(b"GET / HTTP/1.1\r\n\r\n", at=1.011)
flow.server.data(b"HTTP/1.1 200 OK\r\n\r\n\x00\xff", at=1.012)
flow.close(at=1.1)


def question(number, name, kind):
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


def answer(query, more=b""):
    return query[:2] + b"\x81\x80" + query[4:] + more


def datagram(source, destination, payload):
    (ip, port), (other_ip, other_port) = craft.endpoint(source), craft.endpoint(destination)
    head = struct.pack("!HHHH", port, other_port, 8 + len(payload), 0)
    return ip, other_ip, head + payload


def send(at, source, destination, payload):
    ip, other_ip, body = datagram(source, destination, payload)
    packet = craft.ip_packet(ip, other_ip, UDP, body, 64, 7)
    capture.add(craft.ethernet(ip, other_ip, None, packet), at)


client, server = "10.0.0.1:5353", "10.0.0.2:53"
mail = question(1, "shop.test", 15)
send(2, client, server, mail)
send(2.0015, server, client, answer(mail))
odd = question(2, "odd.test", 65280)
send(2.1, client, server, odd)
# The answer in two fragments, the last one first.
ip, other_ip, body = datagram(server, client, answer(odd, b"x" * 1600))
for at, start, stop in ((2.103, 1480, None), (2.1031, 0, 1480)):
    packet = craft.ip_fragment(ip, other_ip, UDP, body[start:stop], 64, 8, start, stop is not None)
    capture.add(craft.ethernet(ip, other_ip, None, packet), at)
# Nobody asked.
send(2.2, server, client, answer(question(3, "nobody.test", 1)))
capture.write_beside(__file__)
