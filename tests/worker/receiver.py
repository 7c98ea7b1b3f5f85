"""Real servers for webhooks: one answers as a test wants, the other never comes to an end."""

from __future__ import annotations

import socketserver
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import TYPE_CHECKING

from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Receiver:
    """What was received, and what is answered.

    Attributes:
        url: of the webhook. host: its host and port.
        answers: a status for each request; once they are used up it is 204. 0: no answer at all.
        requests: the path, headers and body of each.
    """

    url: str = ""
    host: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    closing: Event = field(default_factory=Event)
    came: Event = field(default_factory=Event)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver on a free port of this machine."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.requests.append((self.path, headers, body))
            found.came.set()
            status = found.answers.pop(0) if found.answers else 204
            if status == 0:
                found.closing.wait()
                return
            self.send_response(status)
            if status in range(300, 400):
                self.send_header("location", found.url + "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.host = f"127.0.0.1:{server.server_port}"
    found.url = f"http://{found.host}/done?for=me"
    with serving(server):
        try:
            yield found
        finally:
            found.closing.set()


@contextmanager
def talker(first: bytes, again: bytes, pause: float) -> Iterator[str]:
    """Run a server that says `first` and then `again` for ever; give its host and port."""
    closing = Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the client has gone
                self.request.sendall(first)
                while not closing.wait(pause):
                    self.request.sendall(again)

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as server:
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            closing.set()
