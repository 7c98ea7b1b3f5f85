"""A stand-in for RunPod's job server, to which its own SDK is connected in its production loop."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from tests import servers
from tests.runtimes.programs import LIMIT_SECONDS, Program, clean, running
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMMAND = [sys.executable, "-m", "outlast.worker.runpod_handler"]
POLL_SECONDS = 0.2


class JobServer(ThreadingHTTPServer):
    """Hands out calls and takes what becomes of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((servers.HOST, 0), _Handler)
        self.calls: Queue[dict[str, Any]] = Queue()
        self.answers: Queue[dict[str, Any]] = Queue()
        self.progress: list[Any] = []

    @property
    def env(self) -> dict[str, str]:
        """What tells the SDK where its server is."""
        base = f"http://{servers.HOST}:{self.server_port}"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$RUNPOD_POD_ID?gpu=x",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=x",
            "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID",
            "RUNPOD_AI_API_KEY": "none",
            "RUNPOD_POD_ID": "pod",
        }

    def call(self, payload: Any) -> dict[str, Any]:
        """Return what the worker answers: a dict with "output" or "error"."""
        self.calls.put({"id": f"call-{id(payload)}", "input": payload})
        return self.answers.get(timeout=LIMIT_SECONDS)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a worker that has hung up: it is killed while it waits for a call."""


class _Handler(BaseHTTPRequestHandler):
    server: JobServer

    def do_GET(self) -> None:
        if not self.path.startswith("/job-take/"):
            self._send(200, {})
            return
        try:
            self._send(200, self.server.calls.get(timeout=POLL_SECONDS))
        except Empty:
            self._send(204, None)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body.get("status") == "IN_PROGRESS":
            self.server.progress.append(body["output"])
        else:
            self.server.answers.put(body)
        self._send(200, {})

    def _send(self, status: int, value: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        data = b"" if value is None else json.dumps(value).encode()
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def worker(folder: Path, env: Mapping[str, str]) -> Iterator[tuple[JobServer, Program]]:
    """Run our handler in the SDK's production loop."""
    with (
        serving(JobServer()) as server,
        running(COMMAND, log=folder / "runpod.log", env=sdk_env(env) | server.env) as program,
    ):
        yield server, program


def sdk_env(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` with what the SDK and AWS's clients need here."""
    return clean(env) | {
        # The SDK's own imports warn of what others have deprecated.
        "PYTHONWARNINGS": "",
        "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
        "AWS_ACCESS_KEY_ID": servers.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": servers.SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
