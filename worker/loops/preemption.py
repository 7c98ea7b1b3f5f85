"""Notices that this machine is to be taken away, on which a worker stops as on SIGTERM.

EC2 gives its notice two minutes before, in the metadata of the instance:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
Whatever else learns of it can create a file.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import urllib.request
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError

from outlast.worker.telemetry.events import MACHINE_LEAVES, NOTICES_UNKNOWN, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from outlast.worker.settings import Settings
    from outlast.worker.slices.deadline import Deadline

    # Returns the notice that the machine is to be taken away; None: there is none. Raises OSError:
    # nobody knows.
    Ask = Callable[[], "Notice | None"]

log = logging.getLogger("outlast.worker")

# As often as AWS advises.
ASK_SECONDS = 5.0
METADATA = "http://169.254.169.254"
METADATA_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"  # of AWS's own libraries
NOTICE_PATH = "/latest/meta-data/spot/instance-action"
TOKEN_SECONDS = 6 * 3600
TIMEOUT_SECONDS = 2.0
NOT_FOUND, UNAUTHORIZED = 404, 401
THREAD = "outlast-notices"


class Notice(NamedTuple):
    """That this machine is to be taken away.

    Attributes:
        kind: what the history calls it.
        reason: what the log says of it.
    """

    kind: str
    reason: str


class StopFile:
    """A file that somebody creates when this machine is going away."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> Notice | None:
        """Return that the file is there; None: it is not."""
        if not self._path.is_file():
            return None
        return Notice("stop file", f"there is a file {self._path}")


class Ec2Notice:
    """The notice in the metadata of an EC2 spot instance, by version 2 of that service."""

    def __init__(self) -> None:
        self._endpoint = os.environ.get(METADATA_VARIABLE, METADATA).rstrip("/")
        self._token = ""

    def __call__(self) -> Notice | None:
        """Return when EC2 takes the instance away, and how; None: it has not said so.

        Raises:
            OSError: the metadata do not answer.
        """
        if not self._token:
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
            self._token = self._request("PUT", "/latest/api/token", lifetime)
        try:
            answer = self._request("GET", NOTICE_PATH, {"X-aws-ec2-metadata-token": self._token})
        except HTTPError as error:
            if error.code == NOT_FOUND:
                return None
            if error.code == UNAUTHORIZED:
                self._token = ""  # It has expired; the next time there is a new one.
            raise
        try:
            notice = json.loads(answer)
            reason = f"EC2 is to {notice['action']} it at {notice['time']}"
        except (ValueError, TypeError, KeyError) as error:
            raise OSError(f"{self._endpoint} answers with no notice of EC2's") from error
        return Notice("spot notice", reason)

    def _request(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(self._endpoint + path, method=method, headers=headers)  # noqa: S310 - as AWS's own libraries
        # The metadata are of this machine: no proxy may answer for them.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                body: bytes = answer.read()
        except HTTPError as error:
            error.close()
            raise
        except HTTPException as error:  # The answer was cut off.
            raise OSError(f"{self._endpoint}: {error!r}") from error
        return body.decode(errors="replace")


def notices_of(settings: Settings) -> list[Ask]:
    """Return whom to ask, as `settings` want it."""
    asks: list[Ask] = [] if settings.stop_file is None else [StopFile(settings.stop_file)]
    return [*asks, Ec2Notice()] if settings.spot == "ec2" else asks


@contextmanager
def stop_on_notice(
    asks: Sequence[Ask], stop: Deadline, *, every_seconds: float = ASK_SECONDS
) -> Iterator[None]:
    """Within the block, send this process SIGTERM once one of `asks` has a notice.

    `stop`, which hears the signal, then has the notice as its reason. Each is asked before the
    block begins: a worker is not to begin what it cannot end.
    """
    notices = _Notices(asks, stop)
    if asks and not notices.look():
        thread = threading.Thread(
            target=notices.look_often, args=[every_seconds], name=THREAD, daemon=True
        )
        thread.start()
    try:
        yield
    finally:
        notices.close()


class _Notices:
    """Asks, and sends the signal; after `close` it does not."""

    def __init__(self, asks: Sequence[Ask], stop: Deadline) -> None:
        self._asks = asks
        self._stop = stop
        self._silent: set[Ask] = set()
        self._over = threading.Event()
        self._lock = threading.Lock()

    def look(self) -> bool:
        """Ask all; return whether the signal was sent."""
        return any(map(self._stops_for, self._asks))

    def look_often(self, seconds: float) -> None:
        """Ask all every so many seconds, until the signal is sent or it is closed."""
        while not (self._over.wait(seconds) or self.look()):
            pass

    def close(self) -> None:
        """Send nothing from now on: a signal would end what has ended well."""
        with self._lock:
            self._over.set()

    def _stops_for(self, ask: Ask) -> bool:
        try:
            notice = ask()
        except OSError as error:
            if ask not in self._silent:
                tell(log, NOTICES_UNKNOWN, error=str(error))
            self._silent.add(ask)
            return False
        self._silent.discard(ask)
        with self._lock:
            if notice is None or self._over.is_set():
                return False
            tell(log, MACHINE_LEAVES, reason=notice.reason)
            self._stop.expect(notice.kind)
            os.kill(os.getpid(), signal.SIGTERM)
        return True
