#!/usr/bin/python3
"""HTTP/2 in the clear: nginx and hypercorn, asked by curl, nghttp and the h2 library.

Debian: nginx-light curl nghttp2-client tcpdump; PyPI: hypercorn h2.
"""

import asyncio
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import ContinuationFrame, HeadersFrame

from record import recording, wait_for

NGINX, HYPERCORN = 8080, 8081


async def app(scope, receive, send):
    """/slow takes 60 ms; /echo gives the body back, with trailers; the rest is "ok" at once."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    if scope["path"] == "/slow":
        await asyncio.sleep(0.06)
    if scope["path"] == "/forever":
        await asyncio.sleep(1)
    status = 503 if scope["path"] == "/broken" else 200
    trailers = scope["path"] == "/echo" and "http.response.trailers" in scope["extensions"]
    fields = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "trailers": trailers, "headers": fields})
    await send({"type": "http.response.body", "body": body if scope["path"] == "/echo" else b"ok\n"})
    if trailers:
        await send({"type": "http.response.trailers", "headers": [(b"checksum", b"none")], "more_trailers": False})


class Client:
    """The h2 library with a socket, and every byte it sends in pieces of the size that is wanted."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self.h2.initiate_connection()
        self.flush()

    def flush(self, piece=None):
        data = self.h2.data_to_send()
        piece = piece or len(data) or 1
        for at in range(0, len(data), piece):
            self.socket.sendall(data[at : at + piece])
            if piece < len(data):
                time.sleep(0.002)

    def ask(self, method, path, ends=True, extra=()):
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "h2.test"), (":path", path), *extra]
        self.h2.send_headers(stream, fields, end_stream=ends)
        return stream

    def read(self, until):
        """Until so many streams have ended."""
        while until > 0:
            for event in self.h2.receive_data(self.socket.recv(65536)):
                until -= isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset))
            self.flush()

    def close(self):
        self.h2.close_connection()
        self.flush()
        self.socket.close()


def split():
    """Frames in pieces of seven bytes; streams answered in another order; a body in parts."""
    client = Client(HYPERCORN)
    client.ask("GET", "/slow")
    client.flush(7)
    client.ask("GET", "/fast")
    client.flush(7)
    echo = client.ask("POST", "/echo", ends=False, extra=[("te", "trailers")])
    client.flush()
    for part in (b"in ", b"three ", b"parts"):
        time.sleep(0.005)
        client.h2.send_data(echo, part, end_stream=part == b"parts", pad_length=3 if part == b"in " else None)
        client.flush()
    client.ask("GET", "/broken")
    client.flush()
    client.read(4)
    client.close()


def cancelled():
    """A request that its client gives up, and one after it."""
    client = Client(HYPERCORN)
    forever = client.ask("GET", "/forever")
    client.flush()
    time.sleep(0.05)
    client.h2.reset_stream(forever, error_code=8)
    client.flush()
    client.ask("GET", "/after")
    client.flush()
    client.read(1)
    client.close()


def continued():
    """A field block in three frames, which come one by one."""
    client = Client(NGINX)
    client.ask("GET", "/small.txt", extra=[("x-long", "0123456789abcdef" * 4)])
    whole = client.h2.data_to_send()
    block = whole[9:]
    first, *rest = (block[at : at + 30] for at in range(0, len(block), 30))
    frames = [HeadersFrame(1, first, flags=["END_STREAM"])] + [ContinuationFrame(1, part) for part in rest]
    frames[-1].flags.add("END_HEADERS")
    for frame in frames:
        client.socket.sendall(frame.serialize())
        time.sleep(0.005)
    client.read(1)
    client.ask("GET", "/small.txt", extra=[("x-long", "0123456789abcdef" * 4)])
    client.flush()
    client.read(1)
    client.close()


def main():
    root = pathlib.Path(tempfile.mkdtemp(prefix="http2-"))
    root.chmod(0o755)
    (root / "small.txt").write_text("small\n")
    (root / "large.txt").write_text("0123456789abcde\n" * 500)
    (root / "nginx.conf").write_text(
        f"pid {root}/pid; error_log {root}/error.log; events {{}}"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{NGINX} http2; root {root}; }} }}"
    )
    here = os.path.dirname(os.path.abspath(__file__))
    servers = [
        subprocess.Popen(["nginx", "-c", f"{root}/nginx.conf", "-g", "daemon off;"]),
        subprocess.Popen([sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{HYPERCORN}", "http2:app"], cwd=here),
    ]
    try:
        wait_for(NGINX)
        wait_for(HYPERCORN)
        nginx, hypercorn = f"http://127.0.0.1:{NGINX}", f"http://127.0.0.1:{HYPERCORN}"
        curl = ["curl", "-s", "-o", "/dev/null"]
        with recording("http2", [NGINX, HYPERCORN]):
            # Debian's curl 7.88 cannot use a cleartext HTTP/2 connection twice.
            for path in ("small.txt", "missing"):
                subprocess.run([*curl, "--http2-prior-knowledge", f"{nginx}/{path}"], check=True)
            # On one connection, all at once.
            subprocess.run(["nghttp", "-n", f"{nginx}/large.txt", f"{nginx}/small.txt", f"{nginx}/missing"], check=True)
            subprocess.run([*curl, "--http2", f"{hypercorn}/upgraded"], check=True)
            split()
            cancelled()
            continued()
    finally:
        for server in servers:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
