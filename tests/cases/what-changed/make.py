#!/usr/bin/python3
"""A shop's minute before and after a change: the web server got slow and fails at times, a port is refused, redis is as ever."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "dev"))
import craft  # noqa: E402

WEB, CACHE, OTHER = "10.0.0.2:80", "10.0.0.3:6379", "10.0.0.4:8080"


def minute(name, web_s, failing, is_refused):
    capture = craft.Capture()
    for n in range(32):
        # A connection every 1.9 s or so, of two requests each; times vary by hundredths that repeat every 7 or 5.
        begin = 1.87 * n + 0.05 * (n % 3)
        flow = capture.flow(f"10.0.0.1:{41000 + n}", WEB)
        flow.open(at=begin)
        for task in range(2):
            at = begin + 0.05 + 0.2 * task
            flow.client.data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", at=at)
            status = b"500 Oh" if n % failing == 1 else b"200 OK"
            took = web_s * (1 + 0.05 * ((2 * n + task) % 7))
            flow.server.data(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nhi", at=at + took)
            flow.client.ack(at=at + took + 0.010)
        flow.close(at=begin + 0.6)
    for n in range(24):
        begin = 2.43 * n + 0.07 * (n % 4)
        flow = capture.flow(f"10.0.0.1:{42000 + n}", CACHE)
        flow.open(at=begin)
        flow.client.data(b"PING\r\n", at=begin + 0.05)
        took = 0.002 * (1 + 0.1 * (n % 5))
        flow.server.data(b"+PONG\r\n", at=begin + 0.05 + took)
        flow.client.ack(at=begin + 0.06 + took)
        flow.close(at=begin + 0.1)
    for n in range(20):
        begin = 2.9 * n + 0.03 * (n % 5)
        flow = capture.flow(f"10.0.0.1:{43000 + n}", OTHER)
        if is_refused:
            flow.client.syn(at=begin)
            flow.server.reset(at=begin + 0.001)
        else:
            flow.open(at=begin)
            flow.close(at=begin + 0.1)
    capture.packets.sort(key=lambda packet: packet[0])
    capture.write_beside(__file__, name)


minute("before.pcap", 0.004, 100, False)
minute("input.pcap", 0.010, 3, True)
