"""The healthy traffic of dev/troubles: what a web host sees all day, none of it a reason to be called at night.

nginx serves files on 80 and 443; the application on 8000 asks Redis, the database and the catalog for each page, over
connections that it keeps.
"""

import asyncio
import contextlib
import queue
import ssl

import services
from backends import MariaDB
from network import CATALOG, CHECKER, DATABASE, FAR, NEAR, PAYMENT, REDIS, RESOLVER, WEB
from services import ask, close, connect, redis, resolve

SITE, SECURE, APP = (WEB, 80), (WEB, 443), (WEB, 8000)


class Pool:
    """Connections of the web host that are kept and handed out."""

    def __init__(self, network, address):
        self.network, self.address, self.free = network, address, []

    @contextlib.asynccontextmanager
    async def one(self):
        stream = self.free.pop() if self.free else await connect(self.network, "web", self.address)
        yield stream
        self.free.append(stream)

    def close(self):
        for _, writer in self.free:
            writer.close()


class Database:
    """The same, of the database; its client knows no asyncio and runs in threads."""

    def __init__(self, network):
        self.network, self.free = network, queue.LifoQueue()

    async def query(self, sql):
        return await asyncio.to_thread(self.query_now, sql)

    def query_now(self, sql):
        try:
            connection = self.free.get_nowait()
        except queue.Empty:
            with self.network.within("web"):
                connection = MariaDB((DATABASE, 3306), "shop", "shop", "shop")
        rows = connection.query(sql)
        self.free.put(connection)
        return rows

    def close(self):
        while not self.free.empty():
            self.free.get().close()


class Everyday(services.Services):
    """The services that are fine."""

    async def start(self):
        network = self.network
        self.redis, self.catalog = Pool(network, (REDIS, 6379)), Pool(network, (CATALOG, 8080))
        self.database = network.database = Database(network)
        self.payment_delay = network.payment_delay = [0.0]  # troubles.py may change it
        self.dns_delay = network.dns_delay = {}
        await self.http("back", (CATALOG, 8080), self.catalog_answers)
        await self.http("web", APP, self.page)
        await self.dns("back", (RESOLVER, 53), self.name)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(network.scratch / "cert.pem", network.scratch / "key.pem")

        async def paid():
            return b"paid" * 20

        await self.tls("back", (PAYMENT, 443), context, lambda: self.payment_delay[0], paid)
        return self

    async def stop(self):
        self.redis.close()
        self.catalog.close()
        await asyncio.to_thread(self.database.close)
        await asyncio.sleep(0.2)
        await super().stop()

    async def page(self, _method, path, _length):
        if path == "/health":
            return 200, b"ok"
        if path == "/report":  # troubles.py asks for it
            await self.database.query("SELECT COUNT(*), SLEEP(0.9) FROM (SELECT 1) AS monthly_report")
            return 200, b"report " * 30
        number = len(path) % 5 + 1
        async with self.redis.one() as stream:
            await redis(stream, ["GET", f"session:{path}"], ["INCR", "views"])
        rows = await self.database.query(f"SELECT name, stock FROM products WHERE id = {number}")
        async with self.catalog.one() as stream:
            await ask(stream, "GET", f"/item/{number}")
        async with self.redis.one() as stream:
            await redis(stream, ["SETEX", f"page:{path}", 60, "x" * 80], ["EXPIRE", f"session:{path}", 900])
        return 200, repr(rows).encode() + b" " * 700

    async def catalog_answers(self, _method, path, _length):
        return (200, b"{" + b'"text": "as described", ' * 15 + b"}") if path.startswith("/item/") else (404, b"")

    def name(self, name):
        code = 0 if name.endswith(".example") and "corp" not in name else 3
        return code, next((delay for zone, delay in self.dns_delay.items() if name.endswith(zone)), 0.0)


async def start_services(network):
    return await Everyday(network).start()


async def traffic(network, rand, amount=1.0):
    """A little of everything for about five seconds; `amount` is how much."""

    def some(n):
        return max(1, round(n * amount))

    near, far = list(NEAR), list(FAR)
    await asyncio.gather(
        browser(network, rand, rand.choice(near), pages=some(2)),
        browser(network, rand, rand.choice(far), pages=some(2)),
        browser(network, rand, rand.choice(far), pages=1, address=SECURE),
        *(user(network, rand, rand.choice(near + far), pages=some(4)) for _ in range(some(2))),
        lookups(network, rand, some(6)),
        payments(network, rand, some(2)),
        job(network, rand, some(2)),
        checks(network, rand, some(3)),
        idle(network, rand, rand.choice(near)),
    )


async def pause(rand, least, most):
    await asyncio.sleep(rand.uniform(least, most))


async def browser(network, rand, source, pages, address=SITE, keeps=True):
    """A page and what belongs to it, a pause, the next. Without `keeps` each file has its own connection."""
    await pause(rand, 0, 1.5)
    stream = None
    for _ in range(pages):
        for name in ["a.css", *rand.sample(["a.css", "b.js", "c.png"], rand.randint(1, 2))]:
            stream = stream or await connect(network, "clients", address, source, tls=address == SECURE)
            await ask(stream, "GET", f"/{name}", close=not keeps)
            if not keeps:
                await close(stream)
                stream = None
        await pause(rand, 0.4, 1.5)
    if stream:
        await close(stream)


async def user(network, rand, source, pages):
    """Asks the application, over one connection."""
    await pause(rand, 0, 1)
    stream = await connect(network, "clients", APP, source)
    for n in range(pages):
        await ask(stream, "GET", f"/page/{'x' * rand.randint(1, 9)}{n}")
        await pause(rand, 0.2, 0.9)
    await close(stream)


async def lookups(network, rand, names):
    """As libc does: A and AAAA at once; a search list asks for a name that does not exist first."""
    for _ in range(names):
        name = rand.choice(["db", "cache", "catalog", "pay", "mail"]) + ".shop.example"
        if rand.random() < 0.2:
            await resolve(network, "web", RESOLVER, name + ".corp")
        await asyncio.gather(*(resolve(network, "web", RESOLVER, name, kind) for kind in (1, 28)))
        await pause(rand, 0.1, 0.9)


async def payments(network, rand, orders):
    for _ in range(orders):
        await pause(rand, 0.3, 1.5)
        stream = await connect(network, "web", (PAYMENT, 443), tls=True)
        await ask(stream, "POST", "/pay", b"sum=4200&card=0000")
        await close(stream)


async def job(network, rand, runs):
    """A short-lived program: a connection, a few commands in one pipeline, the end."""
    for _ in range(runs):
        await pause(rand, 0.2, 2)
        stream = await connect(network, "web", (REDIS, 6379))
        await redis(stream, *(["SETEX", f"job:{n}", 60, "done"] for n in range(rand.randint(3, 8))))
        await close(stream)


async def checks(network, rand, rounds):
    """Health checks of a load balancer: one opens a connection and resets it, one asks first."""
    for _ in range(rounds):
        services.abort(await connect(network, "back", APP, CHECKER))
        stream = await connect(network, "back", APP, CHECKER)
        await ask(stream, "GET", "/health")
        services.abort(stream)
        await pause(rand, 0.8, 1.4)


async def idle(network, rand, source):
    """A connection on which nothing happens for most of the time."""
    stream = await connect(network, "clients", APP, source)
    await ask(stream, "GET", "/page/first")
    await pause(rand, 3, 4)
    await close(stream)
