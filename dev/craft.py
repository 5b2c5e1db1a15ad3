"""Captures written packet by packet, for test cases: every byte, checksum and nanosecond is chosen, none is captured.

    capture = Capture()
    flow = capture.flow("10.0.0.1:40000", "10.0.0.2:80")
    flow.client.syn(at=0)
    flow.server.synack(at=0.010)
    flow.client.ack(at=0.020)
    flow.client.data(b"GET / HTTP/1.1\\r\\n\\r\\n", at=0.021)
    capture.write_beside(__file__)

A `Side` remembers its next sequence number and what it has received, as a TCP would; every field can be overridden, and
`again()` repeats a segment. Times are seconds from the capture's start (2026-11-21T00:00:00Z). Packets are written in
the order of the calls, which need not be the order of their times. Files are little-endian classic pcap, with
microseconds or, on request, nanoseconds.

Covers Ethernet, VLAN tags (also two), IPv4, IPv6 with extension headers, fragments, TCP with options, UDP, and ICMP errors
that quote a segment. Not: tunnels, other link types. Python's standard library only. Not a packet library: it makes, it does not read.
"""

import dataclasses
import decimal
import hashlib
import ipaddress
import pathlib
import struct

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
START_S = 1795219200  # 2026-11-21T00:00:00Z
VLAN_ETHERTYPE, OUTER_VLAN_ETHERTYPE = 0x8100, 0x88A8
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60

# TCP options (RFC 9293 section 3.2, RFC 7323, RFC 2018, RFC 7413, RFC 8684), to be joined and given as `options=`.
NOP = b"\x01"
SACK_PERMITTED = b"\x04\x02"


def mss(size):
    return struct.pack("!BBH", 2, 4, size)


def window_scale(shift):
    return bytes([3, 3, shift])


def timestamps(value, echo=0):
    return struct.pack("!BBII", 8, 10, value, echo)


def sack(*blocks):
    """Blocks as (left edge, right edge), absolute. A first block below the ACK is a D-SACK (RFC 2883)."""
    return bytes([5, 2 + 8 * len(blocks)]) + b"".join(struct.pack("!II", left, right) for left, right in blocks)


def fast_open(cookie=b""):
    """Without a cookie it asks for one."""
    return bytes([34, 2 + len(cookie)]) + cookie


def mptcp_capable():
    """MP_CAPABLE version 1 as on a first SYN: HMAC-SHA256, no key."""
    return bytes([30, 4, 0x01, 0x01])


def linux_syn_options(ts=None):
    """What a Linux host offers: MSS 1460, SACK, timestamps if `ts` is given, window scale 7."""
    stamps = timestamps(*ts) if ts else NOP * 2
    return mss(1460) + SACK_PERMITTED + stamps + NOP + window_scale(7)


class Capture:
    """Packets in the order in which they will be written."""

    def __init__(self, nanoseconds=False, snaplen=262144):
        self.nanoseconds, self.snaplen = nanoseconds, snaplen
        self.packets = []  # (nanoseconds since START_S, frame)

    def flow(self, client, server, vlan=None, client_isn=1_000_000, server_isn=5_000_000, stamps=True):
        """Ends as "10.0.0.1:40000" or "[2001:db8::1]:40000". `stamps`: both sides send the timestamp option.

        `vlan`: an id, or two of them, the outer (IEEE 802.1ad) first.
        """
        return Flow(self, endpoint(client), endpoint(server), vlan, client_isn, server_isn, stamps)

    def udp(self, source, destination, payload, at):
        """A datagram; ends as for `flow`. Its checksum is left out (0: RFC 768)."""
        (source, port), (destination, to) = endpoint(source), endpoint(destination)
        body = struct.pack("!HHHH", port, to, 8 + len(payload), 0) + payload
        packet = ip_packet(source, destination, UDP, body, ttl=64, ip_id=at_id(at))
        self.add(ethernet(source, destination, None, packet), at)

    def add(self, frame, at):
        self.packets.append((in_nanoseconds(at), frame))

    def write_beside(self, script, name="input.pcap", cut=0):
        """As `input.pcap` in the directory of the script: what the make.py of a test case ends with."""
        self.write(pathlib.Path(script).resolve().parent / name, cut)

    def write(self, path, cut=0):
        """`cut`: bytes missing at the end of the file."""
        magic, unit = (0xA1B23C4D, 1) if self.nanoseconds else (0xA1B2C3D4, 1000)
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHIIII", magic, 2, 4, 0, 0, self.snaplen, 1))
            for time, frame in self.packets:
                kept = frame[: self.snaplen]
                fraction = time % 10**9 // unit
                file.write(struct.pack("<IIII", START_S + time // 10**9, fraction, len(kept), len(frame)) + kept)
            file.truncate(file.tell() - cut)


class Flow:
    """Two sides of one connection."""

    def __init__(self, capture, client, server, vlan, client_isn, server_isn, stamps):
        self.capture, self.vlan = capture, vlan
        self.client = Side(self, client, server, client_isn, 100_000 if stamps else None)
        self.server = Side(self, server, client, server_isn, 900_000 if stamps else None)
        self.client.peer, self.server.peer = self.server, self.client

    def open(self, at, server_rtt=0.001, client_rtt=0.010):
        """SYN, SYN-ACK, ACK; the round trips are those from the point of capture to either side and back."""
        self.client.syn(at)
        self.server.synack(at + server_rtt)
        self.client.ack(at + server_rtt + client_rtt)

    def close(self, at, server_rtt=0.001, client_rtt=0.010):
        """The client closes, then the server."""
        self.client.fin(at)
        self.server.fin(at + server_rtt)
        self.client.ack(at + server_rtt + client_rtt)


@dataclasses.dataclass(frozen=True)
class Segment:
    """A segment as sent: enough to be repeated, quoted or looked at."""

    at: float
    seq: int
    ack: int
    flags: int
    payload: bytes
    window: int
    options: bytes
    ttl: int
    ip_id: int

    @property
    def end(self):
        """The sequence number behind it."""
        return (self.seq + len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)) % 2**32


class Side:
    """One end: what it will send next, and what it has received. Times given to its methods are those of the capture.

    `send` is the general form; the others only fill it in. All return the `Segment`.
    """

    def __init__(self, flow, own, other, isn, clock_base):
        self.flow, self.own, self.other = flow, own, other
        self.isn, self.next, self.received = isn % 2**32, isn % 2**32, 0
        self.clock_base = clock_base  # timestamp value at second 0, in ms; None: no timestamp option
        self.last_stamp = 0  # what the timestamp option will echo
        self.beyond = []
        # A counter of its own for each side, as Linux has for a connection; its start is fixed by address and port.
        self.ip_id = int.from_bytes(hashlib.sha256(repr(own).encode()).digest()[:2], "big")
        self.window, self.ttl = 502, 64
        self.extensions = ()  # IPv6 extension headers of every packet: their numbers, 8 bytes each

    def syn(self, at, **fields):
        return self.send(at, SYN, **{"options": self.syn_options(at, echo=0), "window": 64240, "ack": 0} | fields)

    def synack(self, at, **fields):
        return self.send(at, SYN | ACK, **{"options": self.syn_options(at), "window": 65160} | fields)

    def ack(self, at, **fields):
        return self.send(at, ACK, **fields)

    def data(self, payload, at, **fields):
        return self.send(at, PSH | ACK, payload, **fields)

    def fin(self, at, **fields):
        return self.send(at, FIN | ACK, **fields)

    def reset(self, at, **fields):
        """As a closed port answers (RST+ACK, sequence number 0 before anything was sent), or to abort."""
        seq = 0 if self.next == self.isn else self.next
        return self.send(at, RST | ACK, **{"seq": seq, "window": 0, "options": b""} | fields)

    def bare_reset(self, at, **fields):
        """RST without ACK: it acknowledges nothing."""
        seq = 0 if self.next == self.isn else self.next
        return self.send(at, RST, **{"seq": seq, "window": 0, "options": b"", "ack": 0} | fields)

    def again(self, segment, at, **fields):
        """The same range once more, as a retransmission: newer timestamp and IP ID unless given."""
        same = {"seq": segment.seq, "ack": segment.ack, "window": segment.window}
        if segment.flags & SYN:
            same["options"] = self.syn_options(at, echo=None if segment.flags & ACK else 0)
        return self.send(at, segment.flags, segment.payload, **same | fields)

    def seen_again(self, segment, at, ttl_less=0):
        """The same packet once more, as a mirror port shows it: nothing differs but the TTL."""
        same = {name: getattr(segment, name) for name in ("seq", "ack", "window", "options", "ip_id")}
        return self.send(at, segment.flags, segment.payload, **same, ttl=segment.ttl - ttl_less)

    def never_captured(self, payload):
        """Bytes that were sent, but that the capture will not show (lost before it). Returns their sequence number."""
        seq, self.next = self.next, (self.next + len(payload)) % 2**32
        return seq

    def send(self, at, flags, payload=b"", *, sent_at=None, lost=False, echo=None, pieces=None, **fields):
        """`fields`: seq, ack, window, options, ttl, ip_id. `lost`: captured, but the peer will not get it.

        `pieces`: (offset, bytes) of each fragment in the order of capture, 10 us apart; offsets are multiples of 8.

        For the timestamp option: `sent_at` is when it left, if it was late here; `echo` the value it answers.
        """
        sent_at = at if sent_at is None else sent_at
        segment = Segment(
            at,
            fields.pop("seq", self.next) % 2**32,
            fields.pop("ack", self.received) % 2**32,
            flags,
            payload,
            fields.pop("window", self.window),
            fields.pop("options") if "options" in fields else self.stamps(sent_at, echo),
            fields.pop("ttl", self.ttl),
            fields.pop("ip_id") if "ip_id" in fields else self.next_ip_id(),
        )
        assert not fields, f"unknown fields: {fields}"
        packets = [self.ip_packet(segment)] if pieces is None else self.fragments(segment, pieces)
        for number, packet in enumerate(packets):
            frame = ethernet(self.own[0], self.other[0], self.flow.vlan, packet)
            self.flow.capture.add(frame, decimal.Decimal(str(at)) + number * decimal.Decimal("0.000010"))
        if not flags & RST and is_after(segment.end, self.next):
            self.next = segment.end
        if not lost:
            self.peer.receive(segment, self.stamp_value(sent_at))
        return segment

    def receive(self, segment, stamp):
        """Moves what this side has received without a gap; keeps what lies beyond one."""
        if segment.flags & RST:
            return
        if segment.flags & SYN:
            self.received = segment.seq
        if not is_after(segment.seq, self.received) and stamp is not None:
            self.last_stamp = max(self.last_stamp, stamp)  # RFC 7323 section 4.3
        self.beyond.append((segment.seq, segment.end))
        for seq, end in sorted(self.beyond, key=lambda range: (range[0] - self.received + 2**31) % 2**32):
            if not is_after(seq, self.received) and is_after(end, self.received):
                self.received = end

    def icmp_unreachable(self, segment, code, at, router, kind=None, quoted=8):
        """What `router` sends back to this side for `segment`: ICMP type 3, or ICMPv6 type 1 (RFC 792, RFC 4443).

        Quotes the IP header and `quoted` bytes behind it (8 in IPv4 by the letter; routers of today quote more).
        """
        six = ":" in self.own[0]
        kind = kind or (1 if six else 3)
        quote = self.ip_packet(segment)[: (40 if six else 20) + quoted]
        body = struct.pack("!BBHI", kind, code, 0, 0) + quote
        if six:
            whole = pseudo_header(router, self.own[0], ICMPV6, len(body)) + body
        else:
            whole = body
        body = body[:2] + struct.pack("!H", checksum(whole)) + body[4:]
        packet = ip_packet(router, self.own[0], ICMPV6 if six else ICMP, body, ttl=64, ip_id=at_id(at))
        self.flow.capture.add(ethernet(router, self.own[0], self.flow.vlan, packet), at)

    def ip_packet(self, segment):
        body, protocol = self.tcp_segment(segment), TCP
        for number in reversed(self.extensions):
            # No options but padding; a routing header with no segments left.
            head = bytes([protocol, 0, 1, 4, 0, 0, 0, 0]) if number != ROUTING else bytes([protocol, 0, 0, 0, 0, 0, 0, 0])
            body, protocol = head + body, number
        return ip_packet(self.own[0], self.other[0], protocol, body, segment.ttl, segment.ip_id, may_fragment=False)

    def fragments(self, segment, pieces):
        body = self.tcp_segment(segment)
        for at, size in pieces:
            assert at % 8 == 0 and at < len(body)
            piece, more = body[at : at + size], at + size < len(body)
            yield ip_fragment(self.own[0], self.other[0], TCP, piece, segment.ttl, segment.ip_id, at, more)

    def tcp_segment(self, segment):
        options = segment.options + NOP * (-len(segment.options) % 4)
        assert len(options) <= 40, f"{len(options)} bytes of options: 40 is the most TCP can carry"
        ports_and_numbers = struct.pack("!HHII", self.own[1], self.other[1], segment.seq, segment.ack)
        offset = (20 + len(options)) // 4 << 4
        rest = options + segment.payload
        head = ports_and_numbers + struct.pack("!BBH", offset, segment.flags, segment.window)
        length = len(head) + 4 + len(rest)
        total = checksum(pseudo_header(self.own[0], self.other[0], TCP, length) + head + bytes(4) + rest)
        return head + struct.pack("!HH", total, 0) + rest

    def syn_options(self, at, echo=None):
        return linux_syn_options(None if self.clock_base is None else (self.stamp_value(at), self.echo(echo)))

    def stamps(self, at, echo=None):
        if self.clock_base is None:
            return b""
        return NOP * 2 + timestamps(self.stamp_value(at), self.echo(echo))

    def echo(self, given):
        return self.last_stamp if given is None else given

    def stamp_value(self, at):
        return None if self.clock_base is None else (self.clock_base + in_nanoseconds(at) // 10**6) % 2**32

    def next_ip_id(self):
        self.ip_id = (self.ip_id + 1) % 2**16
        return self.ip_id


def endpoint(text):
    """("10.0.0.1", 40000)"""
    address, _, port = text.rpartition(":")
    return str(ipaddress.ip_address(address.strip("[]"))), int(port)


def is_after(a, b):
    return a != b and (a - b) % 2**32 < 2**31


def in_nanoseconds(seconds):
    """Through decimal text, so that 0.1 is 100,000,000 ns and not one less."""
    return int((decimal.Decimal(str(seconds)) * 10**9).to_integral_value())


def at_id(at):
    return in_nanoseconds(at) // 10**6 % 2**16


def ethernet(source, destination, vlan, packet):
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    if isinstance(vlan, tuple):
        outer, inner = vlan
        tag = struct.pack("!HHHH", OUTER_VLAN_ETHERTYPE, outer, VLAN_ETHERTYPE, inner)
    else:
        tag = b"" if vlan is None else struct.pack("!HH", VLAN_ETHERTYPE, vlan)
    return mac(destination) + mac(source) + tag + struct.pack("!H", kind) + packet


def mac(address):
    """A locally administered address that ends like the IP address."""
    return b"\x02\x00" + ipaddress.ip_address(address).packed[-4:]


def ip_packet(source, destination, protocol, body, ttl, ip_id, may_fragment=True):
    source, destination = (ipaddress.ip_address(address).packed for address in (source, destination))
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, ttl) + source + destination + body
    return ipv4_packet(source, destination, protocol, body, ttl, ip_id, 0 if may_fragment else 0x4000)


def ip_fragment(source, destination, protocol, piece, ttl, ip_id, at, more):
    """A part of an IP packet's body: RFC 791 section 3.2, RFC 8200 section 4.5."""
    source, destination = (ipaddress.ip_address(address).packed for address in (source, destination))
    if len(source) == 16:
        body = struct.pack("!BBHI", protocol, 0, at | more, ip_id) + piece
        return struct.pack("!IHBB", 6 << 28, len(body), FRAGMENT, ttl) + source + destination + body
    return ipv4_packet(source, destination, protocol, piece, ttl, ip_id, more << 13 | at // 8)


def ipv4_packet(source, destination, protocol, body, ttl, ip_id, fragment):
    """Addresses as bytes; `fragment`: flags and offset."""
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(body), ip_id, fragment, ttl, protocol)
    total = checksum(head + bytes(2) + source + destination)
    return head + struct.pack("!H", total) + source + destination + body


def pseudo_header(source, destination, protocol, length):
    source, destination = (ipaddress.ip_address(address).packed for address in (source, destination))
    if len(source) == 16:
        return source + destination + struct.pack("!II", length, protocol)
    return source + destination + struct.pack("!HH", protocol, length)


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
