#!/usr/bin/env python3
"""Records tests/cases/mongodb/input.pcap: pymongo against a server that is only as much of one as it needs.

    pip install pymongo==4.20.0; apt-get install tcpdump iproute2
    sudo dev/captures/mongodb.py tests/cases/mongodb/input.pcap

Runs in a network namespace of its own, whose lo has the MTU of Ethernet, so that messages span segments. The client is
pymongo: its monitor (streamed `hello`), a pool with four threads, bulk and unacknowledged writes, a cursor that is
exhausted, compression. pymongo never has two requests under way on one connection; `pipelined` does, with pymongo's BSON
in messages of its own. The server answers after 2 ms and cuts every third reply in two, 3 bytes behind its beginning.
"""
import itertools
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

PORT = 27017
MSG, QUERY, REPLY, COMPRESSED = 2013, 2004, 1, 2012
CHECKSUM, MORE_TO_COME, EXHAUST_ALLOWED = 1, 2, 1 << 16
ITEMS = [{"_id": n, "name": f"item {n}", "text": "lorem ipsum " * 8} for n in range(12)]
NUMBERS = itertools.count(1000)


class Connection:
    """A connection of the server."""

    def __init__(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.replies = 0

    def serve(self):
        stream = self.connection.makefile("rb")
        try:
            while len(head := stream.read(16)) == 16:
                length, number, _, op = struct.unpack("<iiii", head)
                self.take(number, op, stream.read(length - 16))
        except (ConnectionError, BrokenPipeError):
            pass

    def take(self, number, op, body):
        is_compressed = op == COMPRESSED
        if is_compressed:
            op, _, _ = struct.unpack_from("<iib", body)
            body = zlib.decompress(body[9:])
        if op == QUERY:
            name, rest = body[4:].split(b"\0", 1)
            command = decode(rest[8:])
            reply = encode(answer(command.get("$query", command)))
            self.send(number, REPLY, struct.pack("<iqii", 8, 0, 0, 1) + reply)
            return
        flags, = struct.unpack_from("<I", body)
        command = sections(body[4:])
        streams = command.get("exhaustAllowed") or flags & EXHAUST_ALLOWED
        if not flags & MORE_TO_COME:
            time.sleep(0.002)
        if "hello" in command and "topologyVersion" in command:
            # The driver is told of changes; there are none, but it wants to hear something now and then.
            for _ in range(3):
                time.sleep(min(command["maxAwaitTimeMS"], 150) / 1000)
                number = self.send(number, MSG, struct.pack("<I", MORE_TO_COME) + b"\0" + encode(answer(command)))
            return
        replies = [answer(command)]
        while streams and replies[-1].get("cursor", {}).get("id"):
            replies.append(answer({"getMore": 77, "collection": "items", "$db": "shop"} | {"batchSize": 4}))
        if flags & MORE_TO_COME:
            return
        for reply in replies:
            more = MORE_TO_COME if reply is not replies[-1] else 0
            payload = struct.pack("<I", more) + b"\0" + encode(reply)
            if is_compressed:
                payload = struct.pack("<iib", MSG, len(payload), 2) + zlib.compress(payload)
            number = self.send(number, COMPRESSED if is_compressed else MSG, payload)

    def send(self, to, op, payload):
        number = next(NUMBERS)
        reply = struct.pack("<iiii", len(payload) + 16, number, to, op) + payload
        self.replies += 1
        cut = 3 if self.replies % 3 == 0 else len(reply)
        self.connection.sendall(reply[:cut])
        if cut < len(reply):
            time.sleep(0.001)
            self.connection.sendall(reply[cut:])
        return number


def encode(document):
    import bson

    return bson.encode(document)


def decode(data):
    import bson

    return bson.decode(data)


def sections(body):
    """The command of an OP_MSG, with the documents of its other sections."""
    command, more = {}, {}
    while len(body) > 4:
        kind, (length,) = body[0], struct.unpack_from("<i", body, 1)
        if kind == 0:
            command = decode(body[1:1 + length])
        else:
            name, documents = body[5:1 + length].split(b"\0", 1)
            more[name.decode()] = documents
        body = body[1 + length:]
    for name, documents in more.items():
        command[name] = []
        while documents:
            length, = struct.unpack_from("<i", documents)
            command[name].append(decode(documents[:length]))
            documents = documents[length:]
    return command


CURSOR = {}


def answer(command):
    import bson

    name = next(iter(command))
    if name.lower() in ("hello", "ismaster"):
        return {
            "isWritablePrimary": True, "ismaster": True, "helloOk": True, "maxBsonObjectSize": 16 << 20,
            "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "localTime": bson.datetime.datetime(2026, 1, 1),
            "connectionId": 1, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False,
            "logicalSessionTimeoutMinutes": None, "compression": [c for c in command.get("compression", []) if c == "zlib"],
            "topologyVersion": {"processId": bson.ObjectId("0" * 24), "counter": bson.Int64(6)}, "ok": 1.0,
        }
    if name == "insert":
        taken = [n for n, item in enumerate(command["documents"]) if item["_id"] in (1, 2)]
        errors = [
            {"index": n, "code": 11000, "errmsg": f"E11000 duplicate key error collection: shop.items index: _id_ dup key: {{ _id: {n} }}"}
            for n in taken
        ]
        return {"n": len(command["documents"]) - len(errors)} | ({"writeErrors": errors} if errors else {}) | {"ok": 1.0}
    if name in ("find", "getMore"):
        size = command.get("batchSize", 12)
        at = CURSOR.pop("at", 0) if name == "getMore" else 0
        batch = ITEMS[at:at + size]
        is_over = at + size >= len(ITEMS) or command.get("singleBatch") or command.get("limit") == 1
        if not is_over:
            CURSOR["at"] = at + size
        which = "firstBatch" if name == "find" else "nextBatch"
        return {"cursor": {which: batch, "id": bson.Int64(0 if is_over else 77), "ns": "shop.items"}, "ok": 1.0}
    if name == "aggregate":
        return {"cursor": {"firstBatch": [{"_id": 1, "n": 12}], "id": bson.Int64(0), "ns": "shop.items"}, "ok": 1.0}
    if name in ("update", "delete"):
        return {"n": 1, "nModified": 1, "ok": 1.0}
    if name in ("ping", "endSessions"):
        return {"ok": 1.0}
    return {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59, "codeName": "CommandNotFound"}


def serve(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=Connection(connection).serve, daemon=True).start()


def clients():
    from pymongo import CursorType, MongoClient, errors, write_concern

    with MongoClient("127.0.0.1", PORT, maxPoolSize=4, heartbeatFrequencyMS=500, retryWrites=False) as client:
        items = client.shop.items
        items.insert_many([{"_id": 100 + n, "text": "x" * 600} for n in range(5)])
        try:
            items.insert_many([{"_id": 1}, {"_id": 2}, {"_id": 3}], ordered=False)
            raise SystemExit("the server should have refused")
        except errors.BulkWriteError:
            pass
        try:
            client.shop.command("nonsense")
            raise SystemExit("the server should have refused")
        except errors.OperationFailure:
            pass
        careless = items.with_options(write_concern=write_concern.WriteConcern(w=0))
        careless.insert_one({"_id": 200})
        items.update_one({"_id": 100}, {"$set": {"text": "y"}})
        items.delete_one({"_id": 100})
        list(items.aggregate([{"$group": {"_id": 1, "n": {"$sum": 1}}}]))
        assert len(list(items.find(batch_size=4, cursor_type=CursorType.EXHAUST))) == 12
        assert len(list(items.find(batch_size=6))) == 12
        threads = [threading.Thread(target=lambda: [items.find_one({"_id": n}) for n in range(3)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Until the monitor has heard of the server twice without asking.
        time.sleep(0.4)

    with MongoClient("127.0.0.1", PORT, compressors="zlib", zlibCompressionLevel=6, serverMonitoringMode="poll") as client:
        client.shop.items.find_one({"_id": 1})
        client.admin.command("ping")
    pipelined()


def pipelined():
    """Four requests at once, in three segments that do not end where they do; one with a checksum, one without reply."""
    def request(number, flags, command, section=b""):
        body = struct.pack("<I", flags) + section + b"\0" + encode(command)
        if flags & CHECKSUM:
            body += b"\x11\x22\x33\x44"
        return struct.pack("<iiii", len(body) + 16, number, 0, MSG) + body

    documents = b"documents\0" + encode({"_id": 300})
    section = b"\x01" + struct.pack("<i", len(documents) + 4) + documents
    said = b"".join([
        request(21, 0, {"find": "items", "filter": {"_id": 4}, "limit": 1, "$db": "shop"}),
        request(22, CHECKSUM, {"ping": 1, "$db": "admin"}),
        request(23, MORE_TO_COME, {"insert": "items", "$db": "shop"}, section),
        request(24, 0, {"nonsense": 1, "$db": "shop"}),
    ])
    with socket.create_connection(("127.0.0.1", PORT)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (said[:10], said[10:150], said[150:]):
            connection.sendall(part)
            time.sleep(0.001)
        stream = connection.makefile("rb")
        for _ in range(3):
            length, = struct.unpack("<i", stream.read(4))
            stream.read(length - 4)


def main():
    path = sys.argv[1]
    if os.environ.get("TCPLENS_INSIDE") is None:
        os.environ["TCPLENS_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "gso_max_segs", "1", "up"], check=True)
    listener = socket.create_server(("127.0.0.1", PORT))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    capture = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "--immediate-mode", "-w", path, "tcp"], stderr=subprocess.PIPE)
    # It says so once it listens.
    capture.stderr.readline()
    time.sleep(0.2)
    clients()
    time.sleep(0.3)
    capture.terminate()
    capture.wait()


if __name__ == "__main__":
    main()
