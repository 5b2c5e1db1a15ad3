"""A wire in user space: two TAP devices in two network namespaces, frames carried between them by this process.

It gives what the kernel's netem would (which not every kernel has): a delay per address, a little jitter without
reordering, and seeded loss. Every frame it loses is written down, so the loss is known and not estimated.

    link.py '{"ends": ["netns-a", "netns-b"], "device": "eth0", "seed": 7, "log": "/tmp/lost.jsonl",
              "delay_ms": 0.1, "paths": {"192.0.2.11": {"delay_ms": 4, "jitter_ms": 0.5, "loss": 0.0}}}'

A frame takes the path of the address it comes from or goes to; frames of no path (ARP, the servers) take the
wire's own delay.
Prints "ready" when both devices are up. Ends on SIGTERM.
"""

import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
CLONE_NEWNET = 0x40000000
PR_SET_TIMERSLACK = 29
libc = ctypes.CDLL("libc.so.6", use_errno=True)


def main():
    config = json.loads(sys.argv[1])
    ends = [open_tap(netns, config["device"]) for netns in config["ends"]]
    log = open(config["log"], "w") if config.get("log") else None
    # One generator for each direction of each path: what one browser does never changes what another one loses.
    paths = {
        (address, direction): dict(path, random=random.Random(f"{config['seed']}/{address}/{direction}"), last=0.0)
        for address, path in config.get("paths", {}).items()
        for direction in (0, 1)
    }
    be_punctual()
    print("ready", flush=True)
    forward(ends, config.get("delay_ms", 0) / 1000, paths, log)


def forward(ends, delay, paths, log):
    """Carries frames for ever. Direction 0 is from the first end to the second."""
    waiting = []  # (when it is due, ordinal, where to, frame)
    ordinal = 0
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(ends, [], [], timeout)
        for end in readable:
            direction = ends.index(end)
            for frame in frames_of(end):
                due = time.monotonic()
                source, destination, tcp = addresses(frame)
                path = paths.get((source, direction)) or paths.get((destination, direction))
                if path:
                    if path["random"].random() < path["loss"]:
                        log.write(json.dumps({"time": time.time(), "source": source, "destination": destination} | tcp))
                        log.write("\n")
                        log.flush()
                        continue
                    due += (path["delay_ms"] + path["random"].uniform(0, path["jitter_ms"])) / 1000
                    due = path["last"] = max(due, path["last"])  # a path never reorders
                else:
                    due += delay
                ordinal += 1
                heapq.heappush(waiting, (due, ordinal, ends[1 - direction], frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(waiting)
            with contextlib.suppress(OSError):  # EIO: that end is not up yet, or no more
                os.write(end, frame)


def frames_of(end):
    while True:
        try:
            yield os.read(end, 65536)
        except BlockingIOError:
            return


def addresses(frame):
    """Source, destination, and what to note of a TCP segment that is lost."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        source, destination = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
        at, length, protocol = 14 + (frame[14] & 15) * 4, struct.unpack("!H", frame[16:18])[0] + 14, frame[23]
    elif kind == b"\x86\xdd":
        source = socket.inet_ntop(socket.AF_INET6, frame[22:38])
        destination = socket.inet_ntop(socket.AF_INET6, frame[38:54])
        at, length, protocol = 54, struct.unpack("!H", frame[18:20])[0] + 54, frame[20]
    else:
        return None, None, {}
    if protocol != 6:
        return source, destination, {}
    sport, dport, seq, _, offset, flags = struct.unpack("!HHIIBB", frame[at : at + 14])
    payload = length - at - (offset >> 4) * 4
    return source, destination, {"sport": sport, "dport": dport, "seq": seq, "payload": payload, "flags": flags & 0x3F}


def open_tap(netns, device):
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    enter(there)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI))
    enter(home)
    os.close(home)
    os.close(there)
    return tap


def enter(netns_fd):
    if libc.setns(netns_fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def be_punctual():
    """A wire does not wait for the scheduler: without this a busy machine shows up as jitter on every path."""
    libc.prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        print("link: no real-time priority, delays will jitter", file=sys.stderr)


if __name__ == "__main__":
    main()
