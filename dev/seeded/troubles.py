"""The seeded troubles of dev/troubles: one each, beside healthy traffic. The first paragraph of each docstring is its
description; tests/troubles/expected.json says what a report should make of it, and was written from that."""

import asyncio
import contextlib
import socket

import services
from everyday import APP, SITE, pause
from network import BROKEN, FAR, LOSSY, PAYMENT, RESOLVER
from services import abort, answer_of, ask, close, connect, request, resolve

FAILED = (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError)


@contextlib.asynccontextmanager
async def serving(network):
    """Servers of one trouble."""
    mine = services.Services(network)
    try:
        yield mine
    finally:
        await mine.stop()


async def refused_port(network, rand):
    """The recommendation service 10.30.0.41:8081 is not running. Web tries it for every page, and is refused each time."""
    for _ in range(rand.randint(9, 14)):
        with contextlib.suppress(*FAILED):
            await connect(network, "web", (BROKEN[41], 8081))
        await pause(rand, 0.1, 0.6)


async def blackhole(network, rand):
    """A firewall swallows everything to port 8443 of 10.30.0.42. Web tries to connect and gives up after two to three seconds,
    again and again."""
    network.rule("back", f"input ip daddr {BROKEN[42]} tcp dport 8443 drop")

    async def try_it():
        await pause(rand, 0, 3)
        with contextlib.suppress(*FAILED):
            await connect(network, "web", (BROKEN[42], 8443), timeout=rand.uniform(2.2, 3.2))

    await asyncio.gather(*(try_it() for _ in range(5)))


async def syn_loss(network, rand):
    """Every third SYN to 10.30.0.43:8083 is lost before it, by a firewall that limits them. What is established loses nothing.
    A connection that is hit is established a second later, or three."""
    network.rule("back", f"input ip daddr {BROKEN[43]} tcp dport 8083 tcp flags syn numgen inc mod 3 0 drop")

    async def call():
        await pause(rand, 0, 4)
        stream = await connect(network, "web", (BROKEN[43], 8083))
        for n in range(2):
            await ask(stream, "GET", f"/stock/{n}")
        await close(stream)

    async def answer(*_):
        return 200, b"in stock " * 20

    async with serving(network) as mine:
        await mine.http("back", (BROKEN[43], 8083), answer)
        await asyncio.gather(*(call() for _ in range(18)))


async def accept_queue(network, rand):
    """The server 10.30.0.44:8084 accepts one connection at a time, and its accept queue holds three. Bursts of clients overflow
    it: the kernel of the server drops SYNs, and ACKs that would complete a handshake, so that connecting takes seconds. The
    path is fine."""
    listener = network.listen("back", (BROKEN[44], 8084), backlog=2)
    loop = asyncio.get_running_loop()

    async def one_at_a_time():
        while True:
            made, _ = await loop.sock_accept(listener)
            reader, writer = await asyncio.open_connection(sock=made)
            with contextlib.suppress(*FAILED):
                await services.read_head(reader)
                await asyncio.sleep(rand.uniform(0.1, 0.15))
                writer.write(services.response(200, b"at last " * 20))
                await writer.drain()
            writer.close()

    async def call(at):
        await asyncio.sleep(at + rand.uniform(0, 0.05))
        with contextlib.suppress(*FAILED):
            stream = await connect(network, "web", (BROKEN[44], 8084), timeout=12)
            await asyncio.wait_for(ask(stream, "GET", "/queue"), 12)
            await close(stream)

    worker = asyncio.create_task(one_at_a_time())
    await asyncio.gather(*(call(burst * 3) for burst in range(2) for _ in range(12)))
    worker.cancel()
    listener.close()


async def slow_query(network, rand):
    """The report page of the application runs a query that takes the database 10.30.0.30:3306 0.9 s; its other queries are quick.
    Whoever asks for the report waits for the database."""
    stream = await connect(network, "clients", APP, rand.choice(list(FAR)))
    for _ in range(5):
        await ask(stream, "GET", "/report")
        await pause(rand, 0.1, 0.4)
    await close(stream)


async def slow_client(network, rand):
    """The client 198.51.100.21 fetches a file of 150 kB from web twice and reads it slowly: its program takes 12 kB every 100 ms. Its
    receive buffer is full most of the time, and web has to wait."""

    async def fetch():
        made = network.socket("clients")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 24_000)
        made.bind(("198.51.100.21", 0))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(made, SITE)
        await loop.sock_sendall(made, request("GET", "/e.zip"))
        left = 150_000
        while left > 0:
            left -= len(await loop.sock_recv(made, 12_000))
            await asyncio.sleep(0.1)
        made.close()

    for _ in range(2):
        await fetch()
        await pause(rand, 0.1, 0.5)


async def lossy_path(network, rand):
    """The path of the client 203.0.113.77 loses 6 % of all packets, in both directions. It browses as others do, who lose
    nothing."""

    async def browse():
        for _ in range(3):
            stream = await connect(network, "clients", SITE, LOSSY)
            for name in ("a.css", "c.png", "b.js", "d.jpg"):
                await ask(stream, "GET", f"/{name}")
            await close(stream)
            await pause(rand, 0.1, 0.5)

    await asyncio.gather(browse(), browse())


async def zero_window(network, rand):
    """The upload service 10.30.0.45:8085 stops reading in the middle of each upload, for about a second: its receive window closes,
    and web, which sends, stands still."""
    listener = network.socket("back")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 30_000)
    listener.bind((BROKEN[45], 8085))
    listener.listen(8)
    loop = asyncio.get_running_loop()

    async def read_by_fits():
        while True:
            made, _ = await loop.sock_accept(listener)
            left = 120_000
            while left > 0:
                left -= len(await loop.sock_recv(made, 16_000))
                if left < 90_000 and made not in stopped:
                    stopped.add(made)
                    await asyncio.sleep(rand.uniform(0.8, 1.3))
            await loop.sock_sendall(made, services.response(200, b"stored"))
            made.close()

    stopped = set()
    worker = asyncio.create_task(read_by_fits())
    for _ in range(3):
        stream = await connect(network, "web", (BROKEN[45], 8085))
        head = request("POST", "/picture", b"x" * 120_000)
        await ask(stream, "POST", "/picture", b"x" * (120_000 - (len(head) - 120_000)))
        await close(stream)
        await pause(rand, 0.1, 0.4)
    worker.cancel()
    listener.close()


async def small_buffer(network, rand):
    """The client 198.51.100.23 is 80 ms away and has set a receive buffer of 4 kB. It reads at once, but no more than these 4 kB can be
    on the way in one round trip: 34 kB take a second, and would take a tenth of that. The window is never closed."""
    for _ in range(3):
        stream = await connect(network, "clients", SITE, "198.51.100.23", rcvbuf=4096)
        await ask(stream, "GET", "/d.jpg")
        await close(stream)
        await pause(rand, 0.1, 0.4)


async def delayed_ack(network, rand):
    """Web calls the service 10.30.0.46:8086 over a kept connection, writes the head of each request and its body separately, and has not
    set TCP_NODELAY: Nagle's algorithm holds the body back until the head is acknowledged, and the service's kernel delays that
    acknowledgment by 40 ms. Each call takes 40 ms for nothing."""

    async def answer(*_):
        return 200, b"ok"

    loop = asyncio.get_running_loop()
    async with serving(network) as mine:
        await mine.http("back", (BROKEN[46], 8086), answer)
        made = network.socket("web")
        await loop.sock_connect(made, (BROKEN[46], 8086))
        for _ in range(30):
            head, body = request("POST", "/count", b'{"event": "viewed"}').split(b"\r\n\r\n")
            await loop.sock_sendall(made, head + b"\r\n\r\n")
            await loop.sock_sendall(made, body)
            await loop.sock_recv(made, 4096)
            await pause(rand, 0.02, 0.15)
        made.close()


async def reset_storm(network, rand):
    """The service 10.30.0.47:8087 reads the request and resets the connection instead of answering, two times out of three."""

    async def converse(reader, writer):
        await services.read_head(reader)
        if rand.random() < 0.67:
            abort((reader, writer))
        else:
            writer.write(services.response(200, b"lucky"))
            await writer.drain()

    async with serving(network) as mine:
        await mine.serve("back", (BROKEN[47], 8087), converse)
        for _ in range(30):
            with contextlib.suppress(*FAILED):
                stream = await connect(network, "web", (BROKEN[47], 8087))
                await ask(stream, "GET", "/price")
                await close(stream)
            await pause(rand, 0.02, 0.25)


async def churn(network, rand):
    """The partner 198.51.100.22, 40 ms away, asks web on port 80 for one thing after the other, and opens a new connection for each: 60
    connections with one request each. Half of its time goes to handshakes."""
    for _ in range(60):
        stream = await connect(network, "clients", SITE, "198.51.100.22")
        await ask(stream, "GET", "/a.css", close=True)
        await close(stream)
        await asyncio.sleep(rand.uniform(0, 0.02))


async def slow_dns(network, rand):
    """The resolver 10.30.0.53 answers names of partner.example after 0.6 to 0.9 s; all others at once."""
    network.dns_delay["partner.example"] = rand.uniform(0.6, 0.9)
    for n in range(7):
        name = f"{rand.choice(['api', 'img', 'pay'])}{n}.partner.example"
        await asyncio.gather(*(resolve(network, "web", RESOLVER, name, kind) for kind in (1, 28)))


async def slow_tls(network, rand):
    """The payment service 10.30.0.15:443 has too little processor: it takes 0.3 to 0.4 s to answer a ClientHello. Once the handshake
    is over, its answers are quick."""
    network.payment_delay[0] = rand.uniform(0.3, 0.4)

    async def pay():
        await pause(rand, 0, 2)
        stream = await connect(network, "web", (PAYMENT, 443), tls=True)
        for _ in range(2):
            await ask(stream, "POST", "/pay", b"sum=4200&card=0000")
        await close(stream)

    await asyncio.gather(*(pay() for _ in range(8)))


async def pipelining(network, rand):
    """Web sends eight requests at once over one connection to 10.30.0.48:8088. The first of them takes 0.5 s, and as answers come in the
    order of requests, the seven quick ones behind it wait for it."""

    async def answer(_method, path, _length):
        if path == "/sum":
            await asyncio.sleep(rand.uniform(0.45, 0.55))
        return 200, b"item " * 20

    async with serving(network) as mine:
        await mine.http("back", (BROKEN[48], 8088), answer)
        stream = await connect(network, "web", (BROKEN[48], 8088))
        for _ in range(5):
            batch = [request("GET", "/sum"), *(request("GET", f"/item/{n}") for n in range(7))]
            stream[1].write(b"".join(batch))
            for _ in batch:
                await answer_of(stream[0])
            await pause(rand, 0.1, 0.5)
        await close(stream)


async def rejected(network, rand):
    """A firewall rejects what web sends to 10.30.0.49:8089 with ICMP "administratively prohibited"."""
    network.rule("back", f"input ip daddr {BROKEN[49]} tcp dport 8089 reject with icmpx admin-prohibited")
    for _ in range(rand.randint(4, 8)):
        with contextlib.suppress(*FAILED):
            await connect(network, "web", (BROKEN[49], 8089))
        await pause(rand, 0.2, 0.8)


async def failing_service(network, rand):
    """The service 10.30.0.49:8091 answers a third of its requests with 503."""

    async def answer(*_):
        return (503, b"overloaded") if rand.random() < 0.33 else (200, b"fine " * 20)

    async with serving(network) as mine:
        await mine.http("back", (BROKEN[49], 8091), answer)
        stream = await connect(network, "web", (BROKEN[49], 8091))
        for n in range(40):
            await ask(stream, "GET", f"/quote/{n}")
            await pause(rand, 0.02, 0.15)
        await close(stream)


async def stopped(network, rand):
    """The session store 10.30.0.41:6380 ends in the middle of the capture. Until then it answers, from then on web is refused."""

    async def store(reader, writer):
        while line := await reader.readline():
            for _ in range(2 * int(line[1:])):
                await reader.readline()
            writer.write(b"+OK\r\n")

    async def use():
        stream = await connect(network, "web", (BROKEN[41], 6380))
        await services.redis(stream, ["SET", "session", rand.randint(1, 99)], ["EXPIRE", "session", 900])
        await close(stream)

    async with serving(network) as mine:
        await mine.serve("back", (BROKEN[41], 6380), store)
        for _ in range(5):
            await use()
            await pause(rand, 0.1, 0.5)
    for _ in range(6):
        with contextlib.suppress(*FAILED):
            await use()
        await pause(rand, 0.1, 0.5)


ALL = {
    scenario.__name__: scenario
    for scenario in (
        refused_port, blackhole, syn_loss, accept_queue, slow_query, slow_client, lossy_path, zero_window,
        small_buffer, delayed_ack, reset_storm, churn, slow_dns, slow_tls, pipelining,
        rejected, failing_service, stopped,
    )
}  # fmt: skip
