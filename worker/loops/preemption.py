"""Notices that this machine is to be taken away: a worker stops on them as on SIGTERM.

On EC2 the machine's metadata tell of it two minutes before, in
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html; what
else knows of it creates a file.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from outlast.worker.telemetry.events import MACHINE_LEAVES, NOTICES_UNKNOWN, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from outlast.worker.settings import Settings

    # Returns why the machine is to be taken away; None: it is not. Raises OSError: nobody knows.
    Ask = Callable[[], str | None]

log = logging.getLogger("outlast.worker")

# As often as AWS advises.
ASK_SECONDS = 5.0
METADATA = "http://169.254.169.254"
METADATA_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"  # of AWS's own libraries
TOKEN_SECONDS = 6 * 3600
TIMEOUT_SECONDS = 2.0
NOT_FOUND, UNAUTHORIZED = 404, 401


class StopFile:
    """A file that somebody creates where this machine is to be left."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> str | None:
        """Return that the file is there; None: it is not."""
        return f"there is a file {self._path}" if self._path.exists() else None


class Ec2Notice:
    """The notice in the metadata of an EC2 spot instance, by version 2 of that service."""

    def __init__(self) -> None:
        self._endpoint = os.environ.get(METADATA_VARIABLE, METADATA).rstrip("/")
        self._token = ""

    def __call__(self) -> str | None:
        """Return when EC2 takes the instance away, and how; None: it has not said so.

        Raises:
            OSError: the metadata do not answer.
        """
        try:
            notice = json.loads(self._notice())
        except HTTPError as error:
            with error:
                if error.code == NOT_FOUND:
                    return None
                if error.code == UNAUTHORIZED:
                    self._token = ""  # It has expired; the next time there is a new one.
                raise
        except ValueError as error:
            raise OSError(f"{self._endpoint} answers no JSON") from error
        return f"EC2 is to {notice.get('action')} it at {notice.get('time')}"

    def _notice(self) -> bytes:
        if not self._token:
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
            self._token = self._request("PUT", "/latest/api/token", lifetime).decode()
        token = {"X-aws-ec2-metadata-token": self._token}
        return self._request("GET", "/latest/meta-data/spot/instance-action", token)

    def _request(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(self._endpoint + path, method=method, headers=headers)  # noqa: S310 - as AWS's own libraries
        # The metadata are of this machine: no proxy may answer for them.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
        return body


def notices_of(settings: Settings) -> list[Ask]:
    """Return whom to ask, as `settings` want it."""
    asks: list[Ask] = [] if settings.stop_file is None else [StopFile(settings.stop_file)]
    return [*asks, Ec2Notice()] if settings.spot == "ec2" else asks


@contextmanager
def heeded(asks: Sequence[Ask], *, every_seconds: float = ASK_SECONDS) -> Iterator[None]:
    """Within the block, send this process SIGTERM once one of `asks` has a reason."""
    over = threading.Event()
    thread = threading.Thread(target=_ask, args=[asks, every_seconds, over], daemon=True)
    if asks:
        thread.start()
    try:
        yield
    finally:
        over.set()


def _ask(asks: Sequence[Ask], every_seconds: float, over: threading.Event) -> None:
    silent: set[Ask] = set()
    while True:
        for ask in asks:
            try:
                reason = ask()
            except OSError as error:
                if ask not in silent:
                    tell(log, NOTICES_UNKNOWN, error=str(error))
                silent.add(ask)
                continue
            silent.discard(ask)
            if reason and not over.is_set():
                tell(log, MACHINE_LEAVES, reason=reason)
                os.kill(os.getpid(), signal.SIGTERM)
                return
        if over.wait(every_seconds):
            return
