"""A server in between that loses answers on demand: the request arrives, its answer never does."""

from __future__ import annotations

import select
import socket
import socketserver
from typing import TYPE_CHECKING

from tests.servers import HOST

if TYPE_CHECKING:
    from tests.servers import Server

BUFFER_BYTES = 65_536


class LossyProxy(socketserver.ThreadingTCPServer):
    """Passes everything on; `lose` names the requests whose answers are lost, and how many."""

    daemon_threads = True

    def __init__(self, behind: Server) -> None:
        super().__init__((HOST, 0), _Connection)
        self.behind = behind
        self.port: int = self.server_address[1]
        self.marker = b""
        self.still_to_lose = 0
        self.lost = 0

    def lose(self, marker: bytes, *, count: int) -> None:
        """Lose the answers to the next `count` requests that have `marker` in them."""
        self.marker, self.still_to_lose, self.lost = marker, count, 0

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
                    if source is self.request:
                        losing = losing or self.server.takes(data)
                    (upstream if source is self.request else self.request).sendall(data)
