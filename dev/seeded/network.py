"""Namespaces, addresses and daemons of dev/troubles. Not the traffic: see everyday.py, troubles.py and clean.py."""

import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL("libc.so.6", use_errno=True)

WEB = "10.30.0.10"
PAYMENT, REDIS, DATABASE, CATALOG, RESOLVER = (f"10.30.0.{n}" for n in (15, 20, 30, 40, 53))
# Where troubles happen: one address each.
BROKEN = {n: f"10.30.0.{n}" for n in range(41, 50)}
# One-way delays in ms. The near ones are customers of the region, the far ones of the rest of the world.
NEAR = {"192.0.2.11": 2, "192.0.2.12": 4, "192.0.2.13": 7, "192.0.2.14": 9}
FAR = {"198.51.100.21": 15, "198.51.100.22": 20, "198.51.100.23": 40, "198.51.100.24": 55, "198.51.100.25": 75}
LOSSY, LOSS = "203.0.113.77", 0.06
CHECKER = "10.30.0.90"
FILES = {"a.css": 3_000, "b.js": 9_000, "c.png": 14_000, "d.jpg": 34_000, "e.zip": 150_000}


class Network:
    """What is made is put on the stack to be undone."""

    def __init__(self, stack, scratch, seed):
        self.stack, self.scratch, self.seed = stack, scratch, seed
        self.prefix = f"troubles{os.getpid()}-"
        self.homes = {}

    def build(self):
        for host in ("clients", "router", "web", "back"):
            run("ip", "netns", "add", self.prefix + host)
            self.stack.callback(run, "ip", "netns", "del", self.prefix + host)
            self.ip(host, "link set lo up")
            self.homes[host] = os.open(f"/run/netns/{self.prefix}{host}", os.O_RDONLY)
        self.homes["here"] = os.open("/proc/self/ns/net", os.O_RDONLY)
        paths = {ip: {"delay_ms": ms, "jitter_ms": 0.3, "loss": 0} for ip, ms in (NEAR | FAR).items()}
        paths[LOSSY] = {"delay_ms": 25, "jitter_ms": 0.3, "loss": LOSS}
        self.link({
            "ends": [self.prefix + "clients", self.prefix + "router"], "device": "wan", "paths": paths,
            "log": str(self.scratch / "lost.jsonl"), "seed": self.seed,
        })  # fmt: skip
        self.ip("router", "link add switch type bridge")
        for host, addresses in (
            ("web", [WEB]), ("back", [PAYMENT, REDIS, DATABASE, CATALOG, RESOLVER, CHECKER, *BROKEN.values()]),
        ):  # fmt: skip
            self.ip("router", f"link add {host} type veth peer name eth0 netns {self.prefix}{host}")
            self.ip("router", f"link set {host} master switch")
            self.ip("router", f"link set {host} up")
            for address in addresses:
                self.ip(host, f"addr add {address}/24 dev eth0")
            self.ip(host, "link set eth0 up")
            self.ip(host, "route add default via 10.30.0.1")
        self.ip("router", "link set switch up")
        self.ip("router", "addr add 10.30.0.1/24 dev switch")
        self.ip("router", "addr add 203.0.113.1/30 dev wan")
        self.ip("router", "link set wan up")
        self.inside("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.ip("clients", "addr add 203.0.113.2/30 dev wan")
        self.ip("clients", "link set wan up")
        for address in [*NEAR, *FAR, LOSSY]:
            self.ip("clients", f"addr add {address}/32 dev wan")
            self.ip("router", f"route add {address}/32 via 203.0.113.2")
        self.ip("clients", "route add default via 203.0.113.1")
        # Whoever resets or refuses does so as often as it likes.
        self.inside("back", "sysctl", "-qw", "net.ipv4.tcp_max_syn_backlog=256")

    def start_servers(self):
        root = self.scratch / "root"
        root.mkdir()
        root.chmod(0o755)
        for name, size in FILES.items():
            (root / name).write_bytes((f"{name} is filler. ".encode() * size)[:size])
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=web.example",
            "-keyout", str(self.scratch / "key.pem"), "-out", str(self.scratch / "cert.pem"))  # fmt: skip
        (self.scratch / "nginx.conf").write_text(NGINX.format(scratch=self.scratch))
        self.server("web", 443, "nginx", "-p", str(self.scratch), "-c", str(self.scratch / "nginx.conf"), "-e", "nginx.log")
        self.server("back", 6379, "redis-server", "--bind", REDIS, "--port", "6379", "--protected-mode", "no", "--save", "",
                    "--appendonly", "no", "--dir", str(self.scratch))  # fmt: skip
        data = self.scratch / "db"
        run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db")
        (self.scratch / "init.sql").write_text(TABLES)
        self.server(
            "back", 3306, "mariadbd", "--no-defaults", f"--datadir={data}", "--user=root", f"--bind-address={DATABASE}",
            f"--socket={self.scratch}/db.sock", "--skip-name-resolve", f"--init-file={self.scratch}/init.sql",
            "--innodb-buffer-pool-size=16M",
        )  # fmt: skip

    def start_capture(self, path, snaplen, host):
        device = "wan" if host == "clients" else "eth0"
        command = ["tcpdump", "-i", device, "-n", "-w", str(path), "-Z", "root", "-B", "16384", "-s", str(snaplen)]
        command += ["ip and not icmp6 and not igmp"]
        tcpdump = self.start(host, *command, stderr=subprocess.PIPE)
        while "listening" not in (line := tcpdump.stderr.readline()):
            if not line:
                sys.exit("troubles: tcpdump did not start")
        return tcpdump

    def stop_capture(self, tcpdump):
        tcpdump.send_signal(signal.SIGINT)
        _, report = tcpdump.communicate(timeout=20)
        assert "0 packets dropped by kernel" in report, report

    def rule(self, host, rule):
        """A rule of the firewall of one host, until the scenario ends: `input tcp dport 81 drop`."""
        hook, words = rule.split(" ", 1)
        self.inside(host, "nft", "add table inet troubles")
        self.inside(host, "nft", f"add chain inet troubles {hook} {{ type filter hook {hook} priority 0; }}")
        self.inside(host, "nft", f"add rule inet troubles {hook} {words}")

    def forget_rules(self):
        for host in ("back", "web", "clients"):
            subprocess.run([*self.command(host), "nft", "delete table inet troubles"], capture_output=True)

    @contextlib.contextmanager
    def within(self, host):
        """Sockets that are made here belong to that host."""
        enter(self.homes[host])
        try:
            yield
        finally:
            enter(self.homes["here"])

    def socket(self, host, kind=socket.SOCK_STREAM):
        with self.within(host):
            made = socket.socket(socket.AF_INET, kind)
        made.setblocking(False)
        return made

    def listen(self, host, address, backlog=128):
        made = self.socket(host)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(backlog)
        return made

    # Below: processes and commands inside a namespace.

    def command(self, host, *words):
        return ["ip", "netns", "exec", self.prefix + host, *words]

    def inside(self, host, *words):
        run(*self.command(host, *words))

    def ip(self, host, words):
        run("ip", "-n", self.prefix + host, *words.split())

    def start(self, host, *words, **more):
        process = subprocess.Popen(self.command(host, *words), text=True, **more)
        self.stack.callback(end_process, process)
        return process

    def server(self, host, port, *words):
        log = self.stack.enter_context(open(self.scratch / f"{words[0]}.log", "w"))
        process = self.start(host, *words, stdout=log, stderr=log)
        for _ in range(300):
            listening = subprocess.run(self.command(host, "ss", "-Hltn", f"sport = :{port}"), capture_output=True)
            if listening.stdout.strip():
                return
            if process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"troubles: {words[0]} does not listen on {port}:\n" + (self.scratch / f"{words[0]}.log").read_text())

    def link(self, config):
        words = [sys.executable, str(HERE.parent / "sample" / "link.py"), json.dumps(config)]
        process = subprocess.Popen(words, text=True, stdout=subprocess.PIPE)
        self.stack.callback(end_process, process)
        if process.stdout.readline() != "ready\n":
            sys.exit("troubles: link.py did not start")


NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  ssl_certificate {scratch}/cert.pem;
  ssl_certificate_key {scratch}/key.pem;
  server {{
    listen 80;
    listen 443 ssl;
    keepalive_timeout 20s;
    root {scratch}/root;
  }}
}}
"""

TABLES = """\
CREATE DATABASE shop CHARACTER SET utf8mb4;
CREATE TABLE shop.products (id INT PRIMARY KEY, name VARCHAR(60), stock INT);
INSERT INTO shop.products VALUES (1, 'table', 4), (2, 'chair', 12), (3, 'lamp', 0), (4, 'bowl', 7), (5, 'vase', 1);
CREATE USER shop IDENTIFIED BY 'shop';
GRANT SELECT ON shop.* TO shop;
"""


def enter(home):
    if libc.setns(home, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def end_process(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(*words):
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"troubles: {' '.join(words)}: {result.stderr.strip()}")
