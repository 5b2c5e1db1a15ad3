#!/usr/bin/python3
"""A client asks for names, and connects to what was answered; once before the answer, and once after a newer one."""

import ipaddress
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

CLIENT, RESOLVER = "10.0.0.1", "10.0.0.53:53"
A, CNAME, AAAA = 1, 5, 28


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, data):
    return encoded(owner) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def look_up(capture, number, name, kind, at, answers):
    question = encoded(name) + struct.pack("!HH", kind, 1)
    client = f"{CLIENT}:{50000 + number}"
    capture.udp(client, RESOLVER, struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question, at)
    header = struct.pack("!HHHHHH", number, 0x8180, 1, len(answers), 0, 0)
    capture.udp(RESOLVER, client, header + question + b"".join(answers), at + 0.002)


def address(owner, ip):
    packed = ipaddress.ip_address(ip).packed
    return record(owner, A if len(packed) == 4 else AAAA, packed)


def get(capture, port, server, at):
    client = f"[2001:db8::1]:{port}" if server.startswith("[") else f"{CLIENT}:{port}"
    flow = capture.flow(client, server)
    flow.client.syn(at=at)
    flow.server.synack(at=at + 0.010)
    flow.client.ack(at=at + 0.010)
    flow.client.data(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n", at=at + 0.011)
    flow.server.data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", at=at + 0.021)
    flow.client.fin(at=at + 0.022)
    flow.server.fin(at=at + 0.032)
    flow.client.ack(at=at + 0.032)


capture = craft.Capture()
refused = capture.flow(f"{CLIENT}:40000", "10.0.0.82:443")
refused.client.syn(at=0)
refused.server.reset(at=0.001)
alias = record("shop.example", CNAME, encoded("cdn.example.net"))
look_up(
    capture,
    1,
    "ShOp.eXample",
    A,
    1,
    [alias, address("cdn.example.net", "10.0.0.80"), address("cdn.example.net", "10.0.0.81")],
)
look_up(capture, 2, "shop.example", AAAA, 1.1, [alias, address("cdn.example.net", "2001:db8::80")])
look_up(capture, 3, "api.shop.example", A, 1.2, [address("api.shop.example", "10.0.0.82")])
get(capture, 40001, "10.0.0.80:80", 2)
get(capture, 40002, "[2001:db8::80]:80", 3)
look_up(capture, 4, "new.example", A, 4, [address("new.example", "10.0.0.80")])
get(capture, 40003, "10.0.0.80:80", 5)
get(capture, 40004, "10.0.0.83:80", 6)
capture.write_beside(__file__)
