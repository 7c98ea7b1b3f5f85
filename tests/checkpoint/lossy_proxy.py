"""A server in between that is slow, or loses an answer to a request that has arrived."""

from __future__ import annotations

import math
import select
import socket
import socketserver
import threading
import time
from typing import TYPE_CHECKING

from tests.servers import HOST

if TYPE_CHECKING:
    from tests.servers import Server

BUFFER_BYTES = 65_536


class LossyProxy(socketserver.ThreadingTCPServer):
    """Passes everything on; `lose` names the requests whose answers are lost, and how many.

    Attributes:
        behind: where new connections lead; those that are open lead on to where they led.
        bytes_a_second: how fast bytes pass, of all connections together.
    """

    daemon_threads = True

    def __init__(self, behind: Server) -> None:
        super().__init__((HOST, 0), _Connection)
        self.behind = behind
        self.bytes_a_second = math.inf
        self._free_at = 0.0
        self._lock = threading.Lock()
        self.port: int = self.server_address[1]
        self.marker = b""
        self.still_to_lose = 0
        self.lost = 0

    def lose(self, marker: bytes, *, count: int) -> None:
        """Lose the answers to the next `count` requests that have `marker` in them."""
        self.marker, self.still_to_lose, self.lost = marker, count, 0

    def pass_on(self, count: int) -> None:
        """Wait until so many bytes have passed."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + count / self.bytes_a_second
            wait = self._free_at - now
        time.sleep(wait)

    def takes(self, request: bytes) -> bool:
        """Tell whether the answer to this request is to be lost, and count it."""
        if not self.still_to_lose or self.marker not in request:
            return False
        self.still_to_lose -= 1
        self.lost += 1
        return True


class _Connection(socketserver.BaseRequestHandler):
    server: LossyProxy
    request: socket.socket

    def handle(self) -> None:
        losing = False
        with socket.create_connection((HOST, self.server.behind.port)) as upstream:
            while True:
                for source in select.select([self.request, upstream], [], [])[0]:
                    data = source.recv(BUFFER_BYTES)
                    if not data or (losing and source is upstream):
                        return  # which closes the client's connection in place of an answer
                    self.server.pass_on(len(data))
                    if source is self.request:
                        losing = losing or self.server.takes(data)
                    (upstream if source is self.request else self.request).sendall(data)
