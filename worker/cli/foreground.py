"""The work behind `outlast run`, shown to the person who waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from outlast.worker.cli.hard_stop import HardStop
from outlast.worker.cli.logs import level_of, log_to
from outlast.worker.cli.preparing import prepare
from outlast.worker.cli.progress import open_progress
from outlast.worker.jobs.parts import with_parts
from outlast.worker.loops.one_job import run_to_end
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.worker_process import make_process
from outlast.worker.telemetry.rate import rate_at
from outlast.worker.telemetry.switches import switched_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record
    from outlast.worker.cli.progress import Progress
    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.worker_process import RunningJob

LOOK_SECONDS = 0.2


def work(
    client: Client, record: Record, command: str, *, processes: int = 1, debug: bool
) -> tuple[Record, str | None]:
    """Work the job until it is over, paused, or a stop signal comes; return it and the signal.

    `command` is what a person may type to go on here. A job that is divided is shared by so many
    `processes` of this machine.
    """
    if record.status.is_final:
        return record, None

    def end(how: str) -> None:
        progress.say(f"{how}; what was done since the last checkpoint is lost")
        _say_how_to_continue(progress, record, command)
        progress.__exit__(None)

    with (
        open_progress() as progress,
        Deadline() as stop,
        HardStop(stop, client.settings.stop_seconds, say=progress.say, end=end) as hard_stop,
    ):
        log_to(
            progress.say,
            level_of(client.settings, otherwise=progress.log_level),
            debug=debug,
            kernels=level_of(client.settings, otherwise="INFO"),
        )
        record, share = _with_share(client, record)
        goes_on = f"goes on from {share:.1%}" if record.usage.slices_begun else "starts"
        progress.say(f"job {record.job_id} {goes_on}")
        try:
            record = _await_turn(client, record, progress, stop)
            left = _how_left(record, stop)
            with switched_on(client.settings, flush_seconds=hard_stop.seconds_left):
                record = _advance(
                    client, record, progress, stop, hard_stop, processes=processes, debug=debug
                )
        except Exception:
            _say_how_to_continue(progress, record, command)
            raise
        if stop.reason and not record.status.is_final:
            _, share = _with_share(client, record)
            progress.say(f"stopped by {stop.reason}, {left} at {share:.1%}")
            _say_how_to_continue(progress, record, command)
        elif record.status is Status.SUCCEEDED:
            progress.show(1.0, _summary(record))
    return record, stop.reason


def _with_share(client: Client, record: Record) -> tuple[Record, float]:
    """Return the job with what its parts have taken, and the share of it that is done."""
    record, parts = with_parts(client.jobs, record)
    return record, record.progress if parts is None else parts.progress


def _how_left(record: Record, stop: Deadline) -> str:
    """Return what a stop signal finds: a job that was only waited for, or one that is saved."""
    if stop.reason and record.lease:
        return f"with nothing done here, while worker {record.lease.worker} has the job"
    return "saved"


def _say_how_to_continue(progress: Progress, record: Record, command: str) -> None:
    progress.say(f"to go on here: {command}")
    # No message is on its way, that of a run is in this process; but a sweep looks for such jobs.
    progress.say(
        f"to leave it to the workers: outlast resume {record.job_id}; to keep it from them: "
        f"outlast pause {record.job_id}"
    )


def _await_turn(client: Client, record: Record, progress: Progress, stop: Deadline) -> Record:
    """Wait while another worker has the job; return the job as it is then."""
    token = ""
    while not (stop.reason or record.status.is_final or record.status is Status.PAUSED):
        now = client.jobs.clock()
        if record.lease is None or not record.is_held(now):
            break
        seconds = record.lease.expires_at - now
        if token != record.lease.token:
            token = record.lease.token
            progress.say(
                f"worker {record.lease.worker} has the job: waiting until it lets go, or for "
                f"{seconds:.0f} s if it is dead"
            )
        if progress.is_due:
            progress.show(record.progress, f"waiting for {record.lease.worker}")
        time.sleep(min(LOOK_SECONDS, seconds))
        record = client.status(record.job_id)
    return record


def _advance(
    client: Client,
    record: Record,
    progress: Progress,
    stop: Deadline,
    hard_stop: HardStop,
    *,
    processes: int,
    debug: bool,
) -> Record:
    """Run slices of the job, or of its parts in several processes; return it as it is left."""
    if stop.reason or record.status.is_final or record.status is Status.PAUSED:
        return record
    if processes > 1 and not record.is_divided:
        progress.say(f"job {record.job_id} is not divided: one process works on it")
    if record.is_divided:
        from outlast.worker.cli.together import work_together  # here, as most runs do without

        return work_together(
            client, record, progress, stop, hard_stop, processes=processes, debug=debug
        )
    prepare(client, record, progress)
    # However long the store is away, the one message of the one job is not given up.
    queue = MemoryQueue(max_receives=None)
    settings = client.settings
    process = make_process(settings, client.jobs, queue, watch=_watch(progress))
    hard_stop.more_seconds = process.timing.last_save_seconds
    return run_to_end(process, record.job_id, slice_seconds=settings.slice_seconds, stop=stop)


def _watch(progress: Progress) -> Callable[[RunningJob], None]:
    """Return what the slice calls after each step: it shows one now and then."""

    def show(job: RunningJob) -> None:
        if progress.is_due:
            share = job.progress
            rate = rate_at(share, job.per_second(share))
            progress.show(share, f"{rate}, slice {job.record.slice_number}")

    return show


def _summary(record: Record) -> str:
    plural = "" if record.usage.slices_begun == 1 else "s"
    return (
        f"{record.usage.compute_seconds:.1f} s of work in {record.usage.slices_begun} slice{plural}"
    )
