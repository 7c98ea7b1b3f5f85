"""A server between a client and the real one, which answers some requests itself."""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

from tests.servers import HOST
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOP = {"connection", "transfer-encoding", "content-length", "host"}
DENIED = b"""{"__type": "AccessDeniedException", "message": "User is not authorized", \
"Message": "User is not authorized"}"""
DENIED_BY_S3 = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Request(NamedTuple):
    """A request: its method, its path with the query, and its headers in small letters."""

    method: str
    path: str
    headers: dict[str, str]


class Answer(NamedTuple):
    """What to say in place of the real server."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@contextmanager
def between(
    answer: Callable[[Request], Answer | None], real: str = "", *, drop: tuple[str, ...] = ()
) -> Iterator[str]:
    """Run it and give its URL; where `answer` is None, `real` is request without headers `drop`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers)
            reply = answer(request) or forward(real, request, body, drop)
            self.send_response(reply.status)
            for name, value in reply.headers:
                if name.lower() not in HOP | {"date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815 - http.server's

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    with serving(server):
        yield f"http://{HOST}:{server.server_port}"


def forward(real: str, request: Request, body: bytes, drop: tuple[str, ...]) -> Answer:
    """Return what the real server answers."""
    headers = {k: v for k, v in request.headers.items() if k not in HOP and k not in drop}
    forwarded = urllib.request.Request(
        real + request.path, data=body or None, headers=headers, method=request.method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(forwarded, timeout=10) as answer:
            return Answer(answer.status, answer.read(), tuple(answer.getheaders()))
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.read(), tuple(refused.headers.items()))
