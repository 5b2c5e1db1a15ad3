#!/usr/bin/python3
"""The connection of trtop's own tests (healthy_remote_test.dump of 2015, a tcpdump's text): its times, flags and lengths."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402


def filled(text, length):
    """A message of so many bytes: its header is filled up."""
    start, end = text.encode() + b"X-Filled: ", b"\r\n\r\n"
    return start + b"x" * (length - len(start) - len(end)) + end


def connection(name, has_syn):
    capture = craft.Capture()
    flow = capture.flow("10.0.0.1:53678", "10.0.0.2:80", stamps=False)
    client, server = flow.client, flow.server
    answer = filled("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 91)
    client.syn(at=0)
    if not has_syn:
        capture.packets.clear()
    server.synack(at=0.009625)
    client.ack(at=0.009642)
    client.data(filled("GET /a HTTP/1.1\r\n", 802), at=0.009829)
    server.ack(at=0.019583)
    server.data(answer, at=0.021509)
    client.ack(at=0.021526)
    client.data(filled("GET /b HTTP/1.1\r\n", 970), at=0.022708)
    server.ack(at=0.032585)
    server.data(answer, at=0.037070)
    client.ack(at=0.076170)
    server.fin(at=0.137454)
    client.fin(at=0.137623)
    server.ack(at=0.147548)
    capture.write_beside(__file__, name)


connection("input.pcap", has_syn=True)
connection("missed.pcap", has_syn=False)
