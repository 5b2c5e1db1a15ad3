"""The captures of dev/troubles in which nothing is wrong: ten days in the life of the same services, each with a habit that
looks odd at first sight."""

import asyncio

import services
from everyday import APP, SECURE, SITE, browser, checks, idle, job, lookups, pause, payments, traffic, user
from network import CATALOG, CHECKER, FAR, NEAR, REDIS, WEB
from services import ask, close, connect, redis, request

near, far = list(NEAR), list(FAR)


async def ordinary(network, rand):
    """A little more of everything."""
    await traffic(network, rand, amount=2)


async def far_clients(network, rand):
    """Everybody is 30 to 150 ms away, over kept connections, TLS and the application."""
    await asyncio.gather(
        *(browser(network, rand, source, pages=2) for source in far),
        *(browser(network, rand, source, pages=1, address=SECURE) for source in far[1:4]),
        *(user(network, rand, source, pages=4) for source in far),
    )


async def without_keep_alive(network, rand):
    """Old browsers: a new connection for each file. A visit has a few files."""
    await asyncio.gather(
        traffic(network, rand),
        *(browser(network, rand, source, pages=2, keeps=False) for source in [*near, *far]),
    )


async def jobs(network, rand):
    """Every minute's cron: short-lived programs, each with a connection of its own to Redis."""
    await asyncio.gather(traffic(network, rand), *(job(network, rand, 4) for _ in range(4)))


async def pipelines(network, rand):
    """Clients that ask several things at once, all of them quick."""

    async def batches():
        cache, catalog = await connect(network, "web", (REDIS, 6379)), await connect(network, "web", (CATALOG, 8080))
        for n in range(8):
            await redis(cache, *(["GET", f"batch:{n}:{m}"] for m in range(12)))
            catalog[1].write(b"".join(request("GET", f"/item/{m}") for m in range(1, 6)))
            for _ in range(5):
                await services.answer_of(catalog[0])
            await pause(rand, 0.2, 0.6)
        await close(cache)
        await close(catalog)

    await asyncio.gather(traffic(network, rand), batches())


async def names(network, rand):
    """Many look-ups; the search list asks for names that do not exist, as everywhere."""
    await asyncio.gather(traffic(network, rand), lookups(network, rand, 12), lookups(network, rand, 10))


async def health_checks(network, rand):
    """Two load balancers check every few hundred ms, and reset."""
    await asyncio.gather(traffic(network, rand), *(checks(network, rand, 5) for _ in range(2)), idle(network, rand, far[0]))


async def downloads(network, rand):
    """Files of some size, to near and far, with the usual buffers; and an upload."""

    async def load(source, name):
        await pause(rand, 0, 1)
        stream = await connect(network, "clients", SITE, source)
        for _ in range(2):
            await ask(stream, "GET", f"/{name}")
        await close(stream)

    async def send(source):
        stream = await connect(network, "clients", APP, source)
        await ask(stream, "POST", "/page/picture", b"filler " * 6_000)
        await close(stream)

    await asyncio.gather(
        traffic(network, rand),
        *(load(source, "d.jpg") for source in [*near[:2], *far]),
        *(load(source, "e.zip") for source in (near[0], far[1], far[4])),
        send(near[1]), send(far[2]),
    )  # fmt: skip


async def busy_pool(network, rand):
    """Many users of the application at once; its connections to the back are few, and busy."""
    await asyncio.gather(
        traffic(network, rand, amount=0.5),
        *(user(network, rand, rand.choice([*near, *far]), pages=5) for _ in range(8)),
        payments(network, rand, 3),
    )


async def mostly_idle(network, rand):
    """A quiet night: idle connections, a check now and then, a failed login of nobody, one missing page."""

    async def missing():
        await pause(rand, 1, 2)
        stream = await connect(network, "clients", SITE, near[2])
        for name in ("a.css", "favicon.ico", "b.js"):
            await ask(stream, "GET", f"/{name}")
        await close(stream)

    async def checker():
        stream = await connect(network, "back", (WEB, 8000), CHECKER)
        for _ in range(5):
            await ask(stream, "GET", "/health")
            await pause(rand, 0.8, 1.2)
        await close(stream)

    await asyncio.gather(
        *(idle(network, rand, source) for source in [*near, *far]),
        missing(), checker(), checks(network, rand, 4), lookups(network, rand, 5), job(network, rand, 2),
    )  # fmt: skip


ALL = {
    f"clean_{scenario.__name__}": scenario
    for scenario in (
        ordinary, far_clients, without_keep_alive, jobs, pipelines, names, health_checks, downloads, busy_pool, mostly_idle,
    )
}  # fmt: skip
