"""The work behind `outlast run`, in sight of the person who waits for it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from outlast.kernel.registry import load
from outlast.worker.cli.logs import level_of, log_to
from outlast.worker.cli.preparing import told
from outlast.worker.cli.screen import open_screen
from outlast.worker.cli.stop_lines import stops_told
from outlast.worker.jobs.rate import Rate
from outlast.worker.loops.one_job import run_embedded
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.process import make_runtime
from outlast.worker.telemetry.switches import switched_on

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.cli.screen import Screen
    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.process import AnyKernel, RunningJob

LOOK_SECONDS = 0.2


def work(client: Client, record: Record, command: str, *, debug: bool) -> tuple[Record, str | None]:
    """Work the job until it is over, paused, or a stop signal comes; return it and the signal.

    `command` is what a person may type to go on here.
    """
    if record.status.is_final:
        return record, None

    def end() -> None:
        screen.say("ended at once; what was done since the last checkpoint is lost")
        _say_ways_on(screen, record, command)
        screen.__exit__(None)

    with open_screen() as screen, Deadline() as stop, stops_told(screen.say, end):
        level = level_of(client.settings, otherwise=screen.log_level)
        log_to(screen.say, level, debug=debug)
        _say_start(screen, record)
        try:
            record = _await_turn(client, record, screen, stop)
            with switched_on(client.settings):
                record = _advance(client, record, screen, stop)
        except Exception:
            _say_ways_on(screen, record, command)
            raise
        if stop.reason and not record.status.is_final:
            screen.say(f"stopped by {stop.reason}, saved at {record.progress:.1%}")
            _say_ways_on(screen, record, command)
        elif record.status is Status.SUCCEEDED:
            screen.show(1.0, _summary(record))
    return record, stop.reason


def _say_start(screen: Screen, record: Record) -> None:
    if record.usage.slices_begun:
        screen.say(f"job {record.job_id} goes on from {record.progress:.1%}")
    else:
        screen.say(f"job {record.job_id} starts")


def _say_ways_on(screen: Screen, record: Record, command: str) -> None:
    screen.say(f"to go on here: {command}")
    # No message is on its way: that of a run is in this process.
    screen.say(f"to leave it to the workers: outlast resume {record.job_id}")


def _await_turn(client: Client, record: Record, screen: Screen, stop: Deadline) -> Record:
    """Wait while another worker holds the job; return the job as it then is."""
    holder = ""
    while not (stop.reason or record.status.is_final or record.status is Status.PAUSED):
        now = client.jobs.clock()
        if record.lease is None or not record.is_held(now):
            break
        left = record.lease.expires_at - now
        if holder != record.lease.token:
            holder = record.lease.token
            screen.say(
                f"worker {record.lease.worker} has the job: waiting until it lets go, or for "
                f"{left:.0f} s if it is dead"
            )
        if screen.is_due:
            screen.show(record.progress, f"waiting for {record.lease.worker}")
        time.sleep(min(LOOK_SECONDS, left))
        record = client.status(record.job_id)
    return record


def _advance(client: Client, record: Record, screen: Screen, stop: Deadline) -> Record:
    """Run slices of the job; return it as it is left."""
    if record.status.is_final or record.status is Status.PAUSED:
        return record
    settings = client.settings
    kernel = load(record.kernel)
    if not (settings.isolate or kernel.may_not_return):  # Else its child prepares it.
        with told(screen.say, record.kernel):
            _prepare(kernel, record.params_json)
    # However long the store is away, the one message of the one job is not given up.
    queue = MemoryQueue(max_receives=None)
    runtime = make_runtime(settings, client.jobs, queue, watch=Watch(screen))
    return run_embedded(runtime, record.job_id, slice_seconds=settings.slice_seconds, stop=stop)


def _prepare(kernel: AnyKernel, params_json: str) -> None:
    """Prepare the kernel for the job; where that fails, its first slice tells."""
    with suppress(BaseException):  # a foreign kernel may raise anything
        kernel.prepare(kernel.Params.model_validate_json(params_json))


class Watch:
    """Called after each step, shows one now and then."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._rate = Rate()

    def __call__(self, job: RunningJob) -> None:
        """Show how far the slice has come, if it is time to."""
        if not self._screen.is_due:
            return
        progress = job.progress
        self._rate.saw(progress, time.monotonic())
        self._screen.show(progress, f"{self._rate}, slice {job.record.slice_number}")


def _summary(record: Record) -> str:
    plural = "" if record.usage.slices_begun == 1 else "s"
    return (
        f"{record.usage.compute_seconds:.1f} s of work in {record.usage.slices_begun} slice{plural}"
    )
