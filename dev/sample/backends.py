"""The two clients the shop needs, as small as they can be: Redis (RESP2) and MariaDB (text protocol).

Not general libraries: no TLS, no binary protocol, no reconnecting.
"""

import hashlib
import socket
import struct


class Redis:
    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.replies = self.socket.makefile("rb")

    def call(self, *words):
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        """Sends all commands in one write, then reads all replies."""
        self.socket.sendall(b"".join(map(encode_command, commands)))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        raise RuntimeError(f"redis: {line!r}")

    def close(self):
        self.replies.close()
        self.socket.close()


def encode_command(words):
    words = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class MariaDB:
    """Protocol 4.1 with mysql_native_password (https://mariadb.com/kb/en/clientserver-protocol/)."""

    PROTOCOL_41, SECURE_CONNECTION, CONNECT_WITH_DB, PLUGIN_AUTH = 0x200, 0x8000, 0x8, 0x80000
    COM_QUIT, COM_QUERY = b"\x01", b"\x03"

    def __init__(self, address, user, password, database):
        self.socket = socket.create_connection(address, timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.packets = self.socket.makefile("rb")
        greeting = self.packet()
        version_end = greeting.index(b"\0", 1)
        salt = greeting[version_end + 5 : version_end + 13] + greeting[version_end + 32 : version_end + 44]
        capabilities = 1 | self.PROTOCOL_41 | self.SECURE_CONNECTION | self.CONNECT_WITH_DB | self.PLUGIN_AUTH
        scrambled = scramble(password.encode(), salt)
        login = struct.pack("<IIB23x", capabilities, 1 << 24, 45) + user.encode() + b"\0"
        login += bytes([len(scrambled)]) + scrambled + database.encode() + b"\0mysql_native_password\0"
        self.send(login, sequence=1)
        self.expect_ok(self.packet())

    def query(self, sql):
        """Rows as lists of str or None; an empty list for statements without a result."""
        self.send(self.COM_QUERY + sql.encode(), sequence=0)
        first = self.packet()
        if first[:1] in (b"\0", b"\xff"):
            self.expect_ok(first)
            return []
        columns = first[0]
        for _ in range(columns + 1):  # definitions and the EOF behind them
            self.packet()
        rows = []
        while True:
            packet = self.packet()
            if packet[:1] == b"\xfe" and len(packet) < 9:
                return rows
            rows.append(decode_row(packet, columns))

    def send(self, payload, sequence):
        self.socket.sendall(struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload)

    def packet(self):
        header = self.packets.read(4)
        if len(header) < 4:
            raise RuntimeError("mariadb: closed")
        return self.packets.read(int.from_bytes(header[:3], "little"))

    def expect_ok(self, packet):
        if packet[:1] != b"\0":
            raise RuntimeError(f"mariadb: {packet[1:]!r}")

    def close(self):
        self.send(self.COM_QUIT, sequence=0)
        self.packets.close()
        self.socket.close()


def scramble(password, salt):
    one = hashlib.sha1(password).digest()
    two = hashlib.sha1(salt + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def decode_row(packet, columns):
    row, at = [], 0
    for _ in range(columns):
        if packet[at] == 0xFB:
            row.append(None)
            at += 1
            continue
        length, at = packet[at], at + 1
        if length == 0xFC:
            length, at = int.from_bytes(packet[at : at + 2], "little"), at + 2
        row.append(packet[at : at + length].decode())
        at += length
    return row
