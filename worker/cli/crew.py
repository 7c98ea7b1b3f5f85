"""Several workers on one machine, started, started again and stopped by one process."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from outlast.worker.cli.hard_stop import OUT_OF_TIME, PATIENCE_SECONDS
from outlast.worker.cli.helpers import POLL_SECONDS, Helpers, share_of, start_helper
from outlast.worker.cli.logs import level_of, log_to_stderr
from outlast.worker.settings import overridden, read_settings
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.isolation.parent import ending_of

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("outlast.worker")


class Shift(NamedTuple):
    """How the work of several workers ended.

    Attributes:
        code: their exit code, as that of one of them would be.
        stopped_by: the signal that stopped them; None: their limits, or one of them, did.
    """

    code: int
    stopped_by: str | None


def look_after(processes: int, words: Sequence[str], stop: Deadline, *, debug: bool) -> Shift:
    """Keep so many workers at work, each with these options, until they end or `stop` says so.

    Raises:
        InvalidSettings: they would all refuse to start.
    """
    settings = read_settings()
    settings = overridden(settings, threads=share_of(settings, processes))
    level = level_of(settings, otherwise="INFO")
    log_to_stderr(level, log_format=settings.log_format, debug=debug)
    # Each would draw its bar over those of the others: none of them has the terminal for itself.
    environment = {"OUTLAST_THREADS": str(settings.threads), "TERM": "dumb"}
    helpers = Helpers(
        processes,
        lambda: start_helper("worker", *words, environment=environment),
        may_return=lambda code: code < 0,
        say=log.warning,
    )
    while not (stop.reason or helpers.are_over or any(helpers.codes)):
        helpers.look()
        time.sleep(POLL_SECONDS)
    broken = next(filter(None, helpers.codes), None)
    if broken is not None:
        log.error("a worker process %s: the others are stopped", ending_of(broken))
    stopped_by = stop.reason
    code = _stop(helpers)
    return Shift(code if broken is None else broken, stopped_by)


def _stop(helpers: Helpers) -> int:
    """Let all save and end, for which each has its own bound; return the exit code.

    A second Ctrl-C ends them at once.
    """
    begun = time.monotonic()

    def is_urgent() -> bool:
        # Two Ctrl-C within this time are one: see `HardStop`.
        return again.reason == "SIGINT" and time.monotonic() - begun > PATIENCE_SECONDS

    helpers.stop()
    with Deadline() as again:
        helpers.await_end(is_urgent=is_urgent)
    at_once = 128 + signal.SIGINT
    # A worker may have taken for two what is one here: it began to wait before.
    if at_once in helpers.codes or (is_urgent() and -signal.SIGKILL in helpers.codes):
        return at_once
    return OUT_OF_TIME if OUT_OF_TIME in helpers.codes else 0
