"""A stand-in for Lambda's runtime API, to which AWS's own runtime client is connected."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from tests import servers
from tests.runtimes.emulator import function_env
from tests.runtimes.programs import LIMIT_SECONDS, Program, running
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

RUNTIME = "/2018-06-01/runtime"
EXTENSION = "/2020-01-01/extension"


class Invocation(NamedTuple):
    """What GET /next hands out."""

    request_id: str
    event: Any
    deadline_ms: int


class Answer(NamedTuple):
    """What the runtime client posted, and where: "response", "error" or "init/error"."""

    kind: str
    body: Any


class Api(ThreadingHTTPServer):
    """The API of one function and its extensions."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((servers.HOST, 0), _Handler)
        self.address = f"{servers.HOST}:{self.server_port}"
        self.invocations: Queue[Invocation | None] = Queue()
        self.answers: Queue[Answer] = Queue()
        self.registered: Queue[tuple[str, Any]] = Queue()
        self.shutdown_event = threading.Event()

    def invoke(
        self, event: Any, *, timeout_seconds: float = 30.0, request_id: str | None = None
    ) -> Answer:
        """Return what the function answers to `event`; nothing ends it at its time-out."""
        self.begin(event, timeout_seconds=timeout_seconds, request_id=request_id)
        return self.answers.get(timeout=LIMIT_SECONDS)

    def begin(
        self, event: Any, *, timeout_seconds: float = 30.0, request_id: str | None = None
    ) -> None:
        """Let the function begin with `event`."""
        deadline_ms = int((time.time() + timeout_seconds) * 1000)
        self.invocations.put(Invocation(request_id or str(uuid4()), event, deadline_ms))


class _Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == f"{EXTENSION}/event/next":
            self.server.shutdown_event.wait(LIMIT_SECONDS)
            self._send({"eventType": "SHUTDOWN"})
            return
        invocation = self.server.invocations.get()
        if invocation is None:
            self.close_connection = True
            return
        self._send(
            invocation.event,
            **{
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:x:1:function:outlast",
            },
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
        if self.path == f"{EXTENSION}/register":
            self.server.registered.put((self.headers["Lambda-Extension-Name"], body))
            self._send({}, **{"Lambda-Extension-Identifier": "extension-1"})
            return
        kind = self.path.removeprefix(f"{RUNTIME}/").rpartition("/")[2]
        if self.path == f"{RUNTIME}/init/error":
            kind = "init/error"
        self.server.answers.put(Answer(kind, body))
        self._send({"status": "OK"})

    def _send(self, value: Any, **headers: str) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        # Without it the runtime client waits for ever.
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def api() -> Iterator[Api]:
    """Serve the API."""
    with serving(Api()) as server:
        try:
            yield server
        finally:
            server.invocations.put(None)
            server.shutdown_event.set()


class Function(NamedTuple):
    """Our handler under AWS's runtime client."""

    api: Api
    program: Program

    def invoke(self, event: Any, **options: Any) -> Any:
        """Return what the handler answered; fail if it raised."""
        kind, body = self.api.invoke(event, **options)
        assert kind == "response", body
        return body


@contextmanager
def function(folder: Path, env: Mapping[str, str]) -> Iterator[Function]:
    """Run our handler under AWS's runtime client."""
    command = [sys.executable, "-m", "awslambdaric", "outlast.worker.lambda_handler.handler"]
    with api() as server:
        env = function_env(env) | {"AWS_LAMBDA_RUNTIME_API": server.address}
        with running(command, log=folder / "lambda.log", env=env) as program:
            yield Function(server, program)
