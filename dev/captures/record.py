"""Records what happens on lo while a conversation is held: for the captures of tests/cases made with real servers.

Needs root (tcpdump) and what the script that uses it says. A capture made anew has other times, ports and sizes: the
README beside it, and what is expected, go with the one in git.
"""

import contextlib
import pathlib
import socket
import subprocess
import sys
import time

CASES = pathlib.Path(__file__).resolve().parents[2] / "tests" / "cases"


@contextlib.contextmanager
def recording(case, ports):
    """Writes tests/cases/CASE/input.pcap, or the file named on the command line."""
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else CASES / case / "input.pcap"
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted = " or ".join(f"tcp port {port}" for port in ports)
    command = ["tcpdump", "-i", "lo", "-U", "-w", str(path), "--immediate-mode", wanted]
    tcpdump = subprocess.Popen(command, stderr=subprocess.PIPE)
    while b"listening on" not in tcpdump.stderr.readline():
        pass
    try:
        yield
    finally:
        time.sleep(0.5)
        tcpdump.terminate()
        print(tcpdump.communicate()[1].decode(), path.stat().st_size, "bytes")


def wait_for(port):
    """Until something listens there."""
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")
