"""Counts what is in a capture of the sample shop, without any library and without tcplens, and holds it against the logs.

The counting rules are those of the record contract (docs, "connection"): a retransmit is a segment whose whole range was
seen before; a fill lies below the highest sequence number seen, and nothing of it was seen before.
"""

import collections
import json
import shutil
import socket
import struct
import subprocess

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
HEALTHY_S = 0.080  # 31 ms of round trip for the farthest browser, and room
Segment = collections.namedtuple("Segment", "time source sport destination dport seq ack flags payload")


def read_pcap(path):
    """TCP segments of a classic nanosecond pcap with Ethernet frames, times in ns; and the number of packets."""
    data = open(path, "rb").read()
    magic, *_, link = struct.unpack("<IHHIIII", data[:24])
    assert magic == 0xA1B23C4D and link == 1, "not a little-endian nanosecond pcap with Ethernet"
    segments, packets, at = [], 0, 24
    while at < len(data):
        seconds, nanoseconds, captured, length = struct.unpack("<IIII", data[at : at + 16])
        assert captured == length, "a packet was cut"
        frame, at, packets = data[at + 16 : at + 16 + captured], at + 16 + captured, packets + 1
        segment = decode(frame, seconds * 10**9 + nanoseconds)
        if segment:
            segments.append(segment)
    return segments, packets


def decode(frame, time):
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[23] == 6:
        end, at = 14 + int.from_bytes(frame[16:18], "big"), 14 + (frame[14] & 15) * 4
        source, destination = (socket.inet_ntoa(frame[i : i + 4]) for i in (26, 30))
    elif kind == b"\x86\xdd" and frame[20] == 6:
        end, at = 54 + int.from_bytes(frame[18:20], "big"), 54
        source, destination = (socket.inet_ntop(socket.AF_INET6, frame[i : i + 16]) for i in (22, 38))
    else:
        return None
    sport, dport, seq, ack, offset, flags = struct.unpack("!HHIIBB", frame[at : at + 14])
    payload = frame[at + (offset >> 4) * 4 : end]
    return Segment(time, source, sport, destination, dport, seq, ack, flags & 0x3F, payload)


class Connection:
    """All segments from one SYN on."""

    def __init__(self, syn):
        self.client, self.server = (syn.source, syn.sport), (syn.destination, syn.dport)
        self.isn, self.syns, self.synacks, self.outcome = syn.seq, 0, 0, "unanswered"
        self.synack = None
        self.seen = {self.client: Ranges(syn.seq), self.server: None}
        self.counts = collections.Counter()
        self.fresh = {self.client: [], self.server: []}  # (time, payload) of segments with new bytes

    def add(self, segment):
        sender = (segment.source, segment.sport)
        who = "client" if sender == self.client else "server"
        if segment.flags & SYN and who == "client":
            self.syns += 1
        if segment.flags & SYN and who == "server":
            self.synacks += 1
            self.synack = segment
        if segment.flags & RST:
            self.counts[who + "_resets"] += 1
            if self.outcome == "unanswered" and who == "server":
                self.outcome = "refused"
            return
        if self.outcome == "unanswered" and self.synack and who == "client" and segment.ack == (self.synack.seq + 1) % 2**32:
            self.outcome = "established"
        if self.seen[sender] is None:
            self.seen[sender] = Ranges(segment.seq)
        units = len(segment.payload) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        if units:
            self.counts[f"{who}_{self.seen[sender].add(segment.seq, units)}"] += 1
            if self.seen[sender].last_was_new and segment.payload:
                self.fresh[sender].append((segment.time, segment.payload))


class Ranges:
    """Sequence space seen in one direction."""

    def __init__(self, first):
        self.first, self.units, self.highest, self.last_was_new = first, set(), 0, False

    def add(self, seq, units):
        start = (seq - self.first) & 0xFFFFFFFF
        fresh = [unit for unit in range(start, start + units) if unit not in self.units]
        below = start < self.highest
        self.units.update(fresh)
        self.highest = max(self.highest, start + units)
        self.last_was_new = bool(fresh)
        if not fresh:
            return "retransmits"
        if len(fresh) < units:
            return "partial_retransmits"
        return "fills" if below else "new"


def connections_of(segments):
    connections, current = [], {}
    for segment in segments:
        ends = frozenset([(segment.source, segment.sport), (segment.destination, segment.dport)])
        is_first = segment.flags & SYN and not segment.flags & ACK
        if is_first and (ends not in current or current[ends].isn != segment.seq):
            current[ends] = Connection(segment)
            connections.append(current[ends])
        if ends in current:
            current[ends].add(segment)
    return connections


def truth_of(capture, hosts, shop_log, browser_log, lost_log):
    """What was injected (by the logs) beside what the capture shows (by counting). Raises where the two disagree."""
    segments, packets = read_pcap(capture)
    connections = connections_of(segments)
    shop = [json.loads(line) for line in open(shop_log)]
    requests = [json.loads(line) for line in open(browser_log)]
    lost = [json.loads(line) for line in open(lost_log)]

    return {
        "packets": packets,
        "tcp_segments": len(segments),
        "first_segment_ns": segments[0].time,
        "seconds": round((segments[-1].time - segments[0].time) / 1e9, 3),
        "connections": count(f"{c.server[0]}:{c.server[1]}" for c in connections),
        "outcomes": count(c.outcome for c in connections),
        "syn_retransmits": sum(c.syns - 1 for c in connections),
        "synack_retransmits": sum(max(0, c.synacks - 1) for c in connections),
        "trouble": {
            "refused": refused(connections, shop, hosts["recommend"]),
            "blackhole": blackhole(connections, shop, hosts["payment"]),
            "slow_query": slow_query(connections, shop, hosts["database"]),
            "lossy_client": lossy_client(connections, lost, hosts["lossy"]),
        },
        "others": others(connections, hosts["lossy"]),
        "http": http(connections, requests, hosts["web"], hosts["lossy"]),
        "redis": redis(connections, hosts["redis"]),
        "database": database(connections, hosts["database"]),
        "tshark": tshark(capture, hosts),
    }


def refused(connections, shop, server):
    here = [c for c in connections if c.server == server]
    tried = [entry for entry in shop if entry["what"] == "recommend"]
    assert {c.outcome for c in here} == {"refused"} and {entry["error"] for entry in tried} == {"ECONNREFUSED"}
    assert len(here) == len(tried) >= 10, (len(here), len(tried))
    return {"server": end(server), "attempts": len(here), "resets": sum(c.counts["server_resets"] for c in here)}


def blackhole(connections, shop, server):
    here = [c for c in connections if c.server == server]
    tried = [entry for entry in shop if entry["what"] == "payment"]
    assert {c.outcome for c in here} == {"unanswered"} and {entry["error"] for entry in tried} == {"timed out"}
    assert [c.client[1] for c in here] == [entry["port"] for entry in tried]
    return {
        "server": end(server),
        "attempts": len(here),
        "syn_retransmits": [c.syns - 1 for c in here],
        "gave_up_after_s": [round(entry["seconds"], 3) for entry in tried],
    }


def slow_query(connections, shop, server):
    (known,) = [entry for entry in shop if entry["what"] == "slow_query"]
    ((connection, asked),) = [
        (c, time) for c in connections for time, payload in c.fresh[c.client] if b"monthly_report" in payload
    ]
    answered = min(time for time, _ in connection.fresh[connection.server] if time > asked)
    seconds = (answered - asked) / 1e9
    assert connection.server == server and 2.5 <= seconds <= known["seconds"] < 2.7, (seconds, known)
    return {"client": end(connection.client), "server": end(server), "seconds": round(seconds, 6)}


def lossy_client(connections, lost, address):
    here = [c for c in connections if c.client[0] == address]
    to_browser = [entry for entry in lost if entry["destination"] == address]
    from_browser = [entry for entry in lost if entry["source"] == address]
    assert len(to_browser) + len(from_browser) == len(lost), "somebody else lost frames"
    answer = {
        "address": address,
        "connections": len(here),
        "frames_lost_behind_the_tap": {"all": len(to_browser), "data": sum(e["payload"] > 0 for e in to_browser)},
        "frames_lost_before_the_tap": {"all": len(from_browser), "data": sum(e["payload"] > 0 for e in from_browser)},
        **totals(here),
    }
    # What was lost behind the tap with data in it had to be sent, and so seen, again.
    assert answer["server_retransmits"] >= answer["frames_lost_behind_the_tap"]["data"] >= 5, answer
    return answer


def others(connections, lossy):
    answer = totals([c for c in connections if c.client[0] != lossy and c.outcome == "established"])
    assert not answer["client_retransmits"] + answer["client_fills"] + answer["server_fills"], answer
    return answer


def totals(connections):
    names = [f"{who}_{what}" for who in ("client", "server") for what in ("retransmits", "partial_retransmits", "fills")]
    return {name: sum(c.counts[name] for c in connections) for name in names}


def http(connections, requests, server_addresses, lossy):
    here = [c for c in connections if c.server[1] == 80 and c.server[0] in server_addresses]
    on_wire = sum(payload[:4] in (b"GET ", b"POST") for c in here for _, payload in c.fresh[c.client])
    assert on_wire == len(requests), (on_wire, len(requests))
    healthy = [r for r in requests if r["client"] != lossy and r["path"] not in ("/checkout", "/report/sales")]
    worst = max(r["seconds"] for r in healthy)
    assert worst < HEALTHY_S, f"a healthy request took {worst:.3f} s: the machine was busy, make the sample again"
    slowest = sorted(requests, key=lambda r: -r["seconds"])[:5]
    return {
        "requests": len(requests),
        "by_client": count(r["client"] for r in requests),
        "by_status": count(str(r["status"]) for r in requests),
        "connections_by_client": count(c.client[0] for c in here),
        "slowest_healthy_seconds": worst,
        "slowest": [{k: r[k] for k in ("client", "method", "path", "status", "seconds")} for r in slowest],
    }


def redis(connections, server):
    streams = [b"".join(p for _, p in c.fresh[c.client]) for c in connections if c.server == server]
    pipelines = sum(stream.count(b"\r\nINCR\r\n") for stream in streams)  # each has one INCR
    return {"connections": len(streams), "commands": sum(map(commands_in, streams)), "pipelines_of_five": pipelines}


def commands_in(stream):
    """Walks RESP arrays of bulk strings."""
    commands, at = 0, 0
    while at < len(stream):
        words, at = number_at(stream, at, b"*")
        for _ in range(words):
            length, at = number_at(stream, at, b"$")
            at += length + 2
        commands += 1
    return commands


def number_at(stream, at, mark):
    assert stream[at : at + 1] == mark, stream[at : at + 20]
    stop = stream.index(b"\r\n", at)
    return int(stream[at + 1 : stop]), stop + 2


def database(connections, server):
    here = [c for c in connections if c.server == server]
    queries = sum(payload[3:5] == b"\0\x03" for c in here for _, payload in c.fresh[c.client])
    return {"connections": len(here), "logins": len(here), "queries": queries}


def tshark(capture, hosts):
    """A second opinion, where it is installed. Its "retransmission" contains fast, spurious and partial ones, and SYNs."""
    if not shutil.which("tshark"):
        return None
    lossy = f"ip.addr == {hosts['lossy']}"
    filters = {
        "handshakes_begun": "tcp.flags.syn == 1 && tcp.flags.ack == 0 && !tcp.analysis.retransmission",
        "syn_retransmissions": "tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.analysis.retransmission",
        "resets": "tcp.flags.reset == 1",
        "lossy_client_retransmissions": f"{lossy} && tcp.analysis.retransmission",
        "lossy_client_out_of_order": f"{lossy} && tcp.analysis.out_of_order",
        "lossy_client_duplicate_acks": f"{lossy} && tcp.analysis.duplicate_ack",
        "lossy_client_dsacks": f"{lossy} && tcp.options.sack.dsack_le",
        "others_retransmissions": f"!({lossy}) && tcp.flags.syn == 0 && tcp.analysis.retransmission",
        "http_requests": "http.request",
        "database_queries": "mysql.command == 3",
    }
    answer = {}
    for name, expression in filters.items():
        output = subprocess.run(["tshark", "-n", "-r", capture, "-Y", expression], capture_output=True, text=True)
        answer[name] = len(output.stdout.splitlines())
    version = subprocess.run(["tshark", "--version"], capture_output=True, text=True).stdout.split()[2]
    return {"version": version, **answer}


def count(words):
    return dict(sorted(collections.Counter(words).items()))


def end(address):
    return f"{address[0]}:{address[1]}"
