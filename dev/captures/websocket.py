#!/usr/bin/python3
"""WebSocket: the websockets library on both sides, with and without permessage-deflate, and frames sent in pieces.

PyPI: websockets; Debian: tcpdump.
"""

import asyncio
import base64
import os
import struct

import websockets

from record import recording

PORT = 8765


async def serve(connection):
    """Answers each message in order; "slow" takes 60 ms, "push" is followed by two more, "quiet" is not answered,
    "too much" ends the connection."""
    await connection.send("welcome")
    async for message in connection:
        if message == "slow":
            await asyncio.sleep(0.06)
        if message == "too much":
            await connection.close(1008, "no more")
        if message == "quiet":
            continue
        await connection.send(message if isinstance(message, bytes) else f"you said {message}")
        if message == "push":
            for n in range(2):
                await asyncio.sleep(0.01)
                await connection.send(f"news {n}")
        if message == "ping me":
            await (await connection.ping(b"are you there"))


async def plain():
    """Messages one by one, in a row, in fragments; pings; a close."""
    async with websockets.connect(f"ws://127.0.0.1:{PORT}/chat", compression=None) as client:
        await client.recv()
        await client.send('{"method":"hello"}')
        await client.recv()
        # Three in a row, before any answer.
        for message in ("slow", "second", bytes(200)):
            await client.send(message)
        for _ in range(3):
            await client.recv()
        await client.send("push")
        for _ in range(3):
            await client.recv()
        await (await client.ping(b"payload"))

        async def fragments():
            for part in ("in ", "three ", "parts"):
                await asyncio.sleep(0.005)
                yield part

        await client.send(fragments())
        await client.recv()
        await client.send("x" * 3000)
        await client.recv()
        await client.send("ping me")
        await client.recv()
        await asyncio.sleep(0.02)
        await client.close(1000, "done")


async def compressed():
    """permessage-deflate, which is the default."""
    async with websockets.connect(f"ws://127.0.0.1:{PORT}/deflate") as client:
        await client.recv()
        await client.send("a message that is worth to be compressed, " * 5)
        await client.recv()


async def refused():
    """The server closes; a message is never answered."""
    async with websockets.connect(f"ws://127.0.0.1:{PORT}/refuse", compression=None) as client:
        await client.recv()
        await client.send("too much")
        await client.wait_closed()


def frame(first, payload):
    mask = bytes([1, 2, 3, 4])
    assert len(payload) < 126
    return struct.pack("!BB", first, 0x80 | len(payload)) + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(payload))


async def pieces():
    """Two messages and a ping in pieces of five bytes, then a connection that is cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /pieces HTTP/1.1\r\nHost: ws.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    sent = frame(0x81, b"first in pieces") + frame(0x89, b"between") + frame(0x81, b"second in pieces") + frame(0x81, b"quiet")
    for at in range(0, len(sent), 5):
        writer.write(sent[at : at + 5])
        await writer.drain()
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.05)
    writer.close()


async def main():
    async with websockets.serve(serve, "127.0.0.1", PORT, ping_interval=None):
        with recording("websocket", [PORT]):
            await plain()
            await compressed()
            await refused()
            await pieces()


if __name__ == "__main__":
    asyncio.run(main())
