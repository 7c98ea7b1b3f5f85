"""The HTTP server of the metrics, on which no stranger can hold up the worker."""

from __future__ import annotations

import socket
from contextlib import suppress
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Timer
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# Half of what Prometheus waits by default.
REQUEST_SECONDS = 5.0
# At once; others are turned away. Each is a thread and a file of the worker.
MAX_REQUESTS = 8


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread, which ends within REQUEST_SECONDS."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        """Listen at `host` and `port`; 0: any free port.

        Raises:
            OSError: the address cannot be used.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        self._places = BoundedSemaphore(MAX_REQUESTS)
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for the request, if there is a place for it."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the request; when its time is over the connection ends, and with it each wait."""
        limit = Timer(REQUEST_SECONDS, _end, [request])
        limit.daemon = True
        limit.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a scraper that has gone: it learns by itself what it missed."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: each scrape would be a line."""


def _end(connection: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)
