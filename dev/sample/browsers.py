"""The browsers: every address in its own thread, following a plan drawn from the seed.

    browsers.py '{"server": {"4": "10.20.0.10", "6": "2001:db8:20::10"}, "seed": 7, "seconds": 42, "log": "/tmp/b.jsonl",
                  "browsers": [{"address": "192.0.2.11", "role": "customer"}, ...]}'

A visit is one keep-alive connection: a page, its pictures, a pause, the next page. Writes every request with the browser's
own clock to the log: that is the other half of the sample's truth.
"""

import http.client
import json
import random
import sys
import threading
import time

LOCK = threading.Lock()


def main():
    config = json.loads(sys.argv[1])
    start = time.monotonic()
    with open(config["log"], "w") as log:
        threads = [
            threading.Thread(target=browse, args=(config, browser, start, log)) for browser in config["browsers"]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def browse(config, browser, start, log):
    rand = random.Random(f"{config['seed']}/{browser['address']}")
    for at, pages in plan(browser["role"], rand, config["seconds"]):
        time.sleep(max(0, start + at - time.monotonic()))
        visit(config, browser["address"], pages, rand, log)


def plan(role, rand, seconds):
    """Visits as (seconds from the start, [(page, pictures)])."""

    def product(pictures):
        return (f"/product/{rand.randint(1, 40)}", pictures)

    if role == "manager":
        return [(3.0, [("/", 1), product(0)]), (15.0, [("/cart", 0), ("/report/sales", 0), ("/", 0)])]
    if role == "buyer":
        at = rand.uniform(6, 26)
        return [(rand.uniform(1, 2), [("/", 1), product(1)]), (at, [product(0), ("/cart", 0), ("checkout", 0)])]
    if role == "far":  # many small loads, so that a few per cent of loss can be seen
        return [(1.0 + k * seconds / 4, [("/", 2), product(2), product(1)]) for k in range(4)]
    return [
        (seconds * (k + rand.uniform(0.05, 0.6)) / 3, [("/", 1), product(rand.randint(0, 1)), ("/cart", 0)][: 3 - k % 2])
        for k in range(3)
    ]


def visit(config, address, pages, rand, log):
    server = config["server"]["6" if ":" in address else "4"]
    connection = http.client.HTTPConnection(server, 80, timeout=60, source_address=(address, 0))
    connection.connect()
    port = connection.sock.getsockname()[1]
    cookie = f"sid={rand.getrandbits(48):012x}"
    for page, pictures in pages:
        loads = [("POST", "/checkout")] if page == "checkout" else [("GET", page)]
        loads += [("GET", f"/img/{rand.randint(1, 12)}.png") for _ in range(pictures)]
        for method, path in loads:
            began = time.monotonic()
            connection.request(method, path, headers=headers(cookie), body="sum=4200" if method == "POST" else None)
            response = connection.getresponse()
            body = response.read()
            note(log, address, port, method, path, response.status, len(body), began)
        time.sleep(rand.uniform(0.4, 2.0))
    connection.close()


def headers(cookie):
    return {"Host": "shop.example", "User-Agent": "Mozilla/5.0 (sample)", "Accept": "*/*", "Cookie": cookie}


def note(log, address, port, method, path, status, size, began):
    line = {"client": address, "port": port, "method": method, "path": path, "status": status, "body_bytes": size}
    line["seconds"] = round(time.monotonic() - began, 6)
    with LOCK:
        print(json.dumps(line), file=log, flush=True)


if __name__ == "__main__":
    main()
