"""The shop's application: a few pages made from Redis, the database and two services that do not work.

Runs on shop-web behind nginx, on 127.0.0.1 only. Writes what it knows of the injected trouble (its own clock and errno)
to a file, one JSON object per line: that is half of the sample's truth.

    shop.py '{"listen": 8000, "redis": ["10.20.0.20", 6379], ..., "log": "/tmp/shop.jsonl"}'
"""

import errno
import http.server
import json
import queue
import random
import socket
import sys
import threading
import time

from backends import MariaDB, Redis

PAYMENT_TIMEOUT_S = 8
SLOW_QUERY = (
    "SELECT n, revenue, SLEEP(2.5) FROM (SELECT COUNT(*) n, SUM(total) revenue FROM orders) AS monthly_report"
)
WORDS = "cotton linen walnut copper glass felt oak paper wool brass cork clay soft small round plain warm light".split()


def main():
    config = json.loads(sys.argv[1])
    shop = Shop(config)
    handler = type("Handler", (Page,), {"shop": shop})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", config["listen"]), handler)
    server.daemon_threads = True
    print("ready", flush=True)
    server.serve_forever()


class Shop:
    """Back-end connections, kept open and handed out; and the log."""

    def __init__(self, config):
        self.config = config
        self.redis_pool, self.database_pool = queue.LifoQueue(), queue.LifoQueue()
        self.log_lock = threading.Lock()
        self.log_file = open(config["log"], "w")

    def with_redis(self, work):
        return self.borrow(self.redis_pool, lambda: Redis(self.config["redis"]), work)

    def query(self, sql):
        def connect():
            return MariaDB(self.config["database"], "shop", "shop", "shop")

        return self.borrow(self.database_pool, connect, lambda database: database.query(sql))

    def borrow(self, pool, connect, work):
        try:
            connection = pool.get_nowait()
        except queue.Empty:
            connection = connect()
        result = work(connection)
        pool.put(connection)
        return result

    def log(self, what, **fields):
        with self.log_lock:
            print(json.dumps({"what": what, "time": time.time(), **fields}), file=self.log_file, flush=True)


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        kind, _, argument = self.path.strip("/").partition("/")
        if kind == "":
            self.home()
        elif kind == "product":
            self.product(int(argument))
        elif kind == "cart":
            self.cart()
        elif kind == "report":
            self.report()
        else:
            self.answer(404, "<p>no such page</p>")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.checkout()

    def home(self):
        self.visit("home")
        names = self.shop.query("SELECT id, name, price FROM products ORDER BY sold DESC LIMIT 8")
        news = self.shop.query("SELECT title FROM news ORDER BY id DESC LIMIT 3")
        self.answer(200, table(names) + table(news) + prose("home", 100))

    def product(self, number):
        self.visit(f"product:{number}")
        cached = self.shop.with_redis(lambda redis: redis.call("GET", f"product:{number}"))
        if cached is None:
            (row,) = self.shop.query(f"SELECT id, name, price, stock FROM products WHERE id = {number}")
            cached = " ".join(row).encode()
            self.shop.with_redis(lambda redis: redis.call("SETEX", f"product:{number}", 600, cached.decode()))
        reviews = self.shop.query(f"SELECT stars, body FROM reviews WHERE product = {number} LIMIT 4")
        self.answer(200, f"<h2>{cached.decode()}</h2>{self.recommended(number)}{table(reviews)}{prose(number, 90)}")

    def cart(self):
        self.visit("cart")
        session = self.session()
        items = self.shop.with_redis(lambda redis: redis.call("LRANGE", f"cart:{session}", 0, -1))
        prices = self.shop.query("SELECT id, price FROM products WHERE id IN (3, 14, 15)")
        self.answer(200, f"<p>{len(items)} articles</p>{table(prices)}")

    def report(self):
        """Trouble: one query that takes two and a half seconds."""
        started = time.monotonic()
        rows = self.shop.query(SLOW_QUERY)
        self.shop.log("slow_query", seconds=time.monotonic() - started, client=self.client())
        self.answer(200, table(rows))

    def checkout(self):
        """Trouble: the payment host swallows SYNs, so the customer waits for the timeout."""
        self.visit("checkout")
        local, started, error = None, time.monotonic(), None
        with socket.socket() as payment:
            payment.settimeout(PAYMENT_TIMEOUT_S)
            try:
                payment.connect(tuple(self.shop.config["payment"]))
            except OSError as problem:
                error = "timed out" if isinstance(problem, TimeoutError) else errno.errorcode[problem.errno]
            local = payment.getsockname()[1]
        waited = time.monotonic() - started
        self.shop.log("payment", port=local, seconds=waited, error=error, client=self.client())
        self.answer(504, "<p>The payment service does not answer. Nothing was charged.</p>")

    def recommended(self, number):
        """Trouble: nothing listens at the recommendation service. The page does without."""
        with socket.socket() as service:
            service.settimeout(1)
            try:
                service.connect(tuple(self.shop.config["recommend"]))
                return "<p>others bought</p>"
            except OSError as problem:
                self.shop.log("recommend", error=errno.errorcode[problem.errno], product=number, client=self.client())
                return ""

    def visit(self, page):
        """What every page does: look the session up, then five short commands in one pipeline."""
        session = self.session()
        self.shop.with_redis(lambda redis: redis.call("GET", f"session:{session}"))
        self.shop.with_redis(
            lambda redis: redis.pipeline(
                [
                    ("SETEX", f"session:{session}", 1800, page),
                    ("INCR", f"hits:{page}"),
                    ("LPUSH", f"trail:{session}", page),
                    ("LTRIM", f"trail:{session}", 0, 9),
                    ("GET", "banner"),
                ]
            )
        )

    def session(self):
        return self.headers.get("Cookie", "sid=none").removeprefix("sid=")

    def client(self):
        return self.headers.get("X-Forwarded-For")

    def answer(self, status, body):
        page = f"<!doctype html><title>shop</title><h1>shop</h1>{body}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
        self.wfile.flush()

    def log_message(self, *_):
        pass  # nginx has the access log


def table(rows):
    return "<ul>" + "".join(f"<li>{' '.join(filter(None, row))}</li>" for row in rows) + "</ul>"


def prose(seed, words):
    return "<p>" + " ".join(random.Random(str(seed)).choices(WORDS, k=words)) + "</p>"


if __name__ == "__main__":
    main()
