"""Small servers and clients over asyncio: HTTP/1.1, DNS, RESP, TLS. Not general: they know what dev/troubles needs."""

import asyncio
import socket
import ssl
import struct

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends a RST


def prompt(made):
    """As most programs do. asyncio does it only for sockets that were made with IPPROTO_TCP, and accepted ones say nothing."""
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Services:
    """Servers that are stopped together."""

    def __init__(self, network):
        self.network, self.servers, self.conversations = network, [], set()

    async def serve(self, host, address, converse, backlog=128):
        """`converse(reader, writer)` for each connection."""

        async def talk(reader, writer):
            task = asyncio.current_task()
            self.conversations.add(task)
            prompt(writer.get_extra_info("socket"))
            try:
                await converse(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                pass
            finally:
                self.conversations.discard(task)
                writer.close()

        server = await asyncio.start_server(talk, sock=self.network.listen(host, address, backlog))
        self.servers.append(server)
        return server

    async def http(self, host, address, answer):
        """`status, body = await answer(method, path, length of body)`; in order, as HTTP/1.1 says."""

        async def converse(reader, writer):
            while head := await read_head(reader):
                method, path, headers = head
                length = int(headers.get("content-length", 0))
                await reader.readexactly(length)
                status, body = await answer(method, path, length)
                writer.write(response(status, body))
                await writer.drain()
                if headers.get("connection") == "close":
                    break

        return await self.serve(host, address, converse)

    async def tls(self, host, address, context, delay, answer):
        """HTTP within TLS. The ClientHello waits in the kernel for `delay()` seconds before anybody looks at it."""
        listener = self.network.listen(host, address)
        loop = asyncio.get_running_loop()

        async def converse(made):
            prompt(made)
            await asyncio.sleep(delay())
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            try:
                transport, _ = await loop.connect_accepted_socket(lambda: protocol, made, ssl=context)
                while head := await read_head(reader):
                    await reader.readexactly(int(head[2].get("content-length", 0)))
                    transport.write(response(200, await answer()))
                transport.close()
            except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                made.close()

        async def accept():
            while True:
                made, _ = await loop.sock_accept(listener)
                self.begin(converse(made))

        self.begin(accept())
        self.servers.append(listener)

    def begin(self, work):
        task = asyncio.create_task(work)
        self.conversations.add(task)
        task.add_done_callback(self.conversations.discard)

    async def dns(self, host, address, answer):
        """`code, seconds = answer(name)`: a code of RFC 1035, after so long."""
        made = self.network.socket(host, socket.SOCK_DGRAM)
        made.bind(address)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Resolver(answer), sock=made)
        self.servers.append(transport)

    async def stop(self):
        conversations = list(self.conversations)
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        for server in self.servers:
            server.close()


class Resolver(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, client):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question, (kind,) = query[12 : at + 5], struct.unpack("!H", query[at + 1 : at + 3])
        code, seconds = self.answer(".".join(labels))
        data = b"" if code or kind != 1 else struct.pack("!HHHIH4B", 0xC00C, 1, 1, 60, 4, 10, 30, 0, 40)
        header = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, bool(data), 0, 0)
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self.transport.sendto, header + question + data, client)


async def read_head(reader):
    """Method or version, path or status, headers; None where the other end has closed."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, second, _ = lines[0].split(" ", 2)
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return first, second, headers


def response(status, body):
    words = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}[status]
    return f"HTTP/1.1 {status} {words}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def request(method, path, body=b"", close=False):
    more = f"Content-Length: {len(body)}\r\n" if body else ""
    more += "Connection: close\r\n" if close else ""
    return f"{method} {path} HTTP/1.1\r\nHost: web.example\r\n{more}\r\n".encode() + body


async def connect(network, host, address, source=None, rcvbuf=None, sndbuf=None, tls=False, timeout=20):
    """Reader and writer of a new connection of that host."""
    made = network.socket(host)
    prompt(made)
    if rcvbuf:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if sndbuf:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    if source:
        made.bind((source, 0))
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(made, address), timeout)
    except (OSError, asyncio.TimeoutError):
        made.close()
        raise
    more = {}
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        more = {"ssl": context, "server_hostname": "web.example", "ssl_handshake_timeout": 20}
    if rcvbuf:  # asyncio reads ahead: 64 KiB by default
        more["limit"] = rcvbuf
    return await asyncio.open_connection(sock=made, **more)


async def ask(stream, method, path, body=b"", close=False):
    """Status and length of the answer."""
    reader, writer = stream
    writer.write(request(method, path, body, close))
    await writer.drain()
    return await answer_of(reader)


async def answer_of(reader):
    head = await read_head(reader)
    if head is None:
        raise ConnectionResetError("closed")
    _, status, headers = head
    length = int(headers.get("content-length", 0))
    await reader.readexactly(length)
    return int(status), length


async def close(stream):
    _, writer = stream
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionError, ssl.SSLError):
        pass


def abort(stream):
    _, writer = stream
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    writer.transport.abort()


async def redis(stream, *commands):
    """Sends all commands in one write, then reads all replies."""
    reader, writer = stream
    for words in commands:
        words = [str(word).encode() for word in words]
        writer.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    await writer.drain()
    return [await redis_reply(reader) for _ in commands]


async def redis_reply(reader):
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"$" and rest != b"-1":
        return (await reader.readexactly(int(rest) + 2))[:-2]
    if kind == b"*":
        return [await redis_reply(reader) for _ in range(int(rest))]
    return rest


async def resolve(network, host, resolver, name, kind=1, timeout=5):
    """The answer's code, asked for from a port of its own as libc does."""
    made = network.socket(host, socket.SOCK_DGRAM)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(made, (resolver, 53))
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        number = hash((name, kind, loop.time())) & 0xFFFF
        await loop.sock_sendall(made, struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1))
        answer = await asyncio.wait_for(loop.sock_recv(made, 512), timeout)
        return answer[3] & 15
    finally:
        made.close()
