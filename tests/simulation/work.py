"""What a slice may write of its job: progress, errors, the bill and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from tests.simulation.ledger import TOTALS, is_whole, position
from tests.simulation.timing import (
    LONGEST_BACKOFF_SECONDS,
    LONGEST_POSTPONEMENT_SECONDS,
    ROUNDING_SECONDS,
    judge_lease,
    judge_share,
)
from tests.simulation.violation import require

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from tests.simulation.ledger import Job
    from tests.simulation.process import Process


def judge_work(process: Process, job: Job, old: Record, new: Record) -> None:
    """Judge what the holder of a lease writes, or who finds that the job cannot go on."""
    if new.status is Status.FAILED and (old.exhausted() or job.is_damaged):
        _judge_failure(job, new)
        return
    require(
        old.lease is not None and old.lease.token in process.tokens,
        f"{process} wrote to {job} without its lease",
    )
    process.unsaved_seconds = 0.0
    _judge_errors(process, old, new, advanced=_judge_checkpoint(process, job, old, new))
    _judge_accounts(job, new)
    if new.lease is not None:
        judge_lease(process, job, new)
    if new.status is Status.SUCCEEDED:
        require(new.result == job.expected, f"{job} has a wrong result: {new.result}")
        done = job.begun_at + new.usage.steps
        require(done >= job.steps, f"{job} ended after {done} steps")
    else:
        require(new.result is None, f"{job} is {new.status} with a result")
    if new.status is Status.FAILED:
        _judge_failure(job, new)


def _judge_errors(process: Process, old: Record, new: Record, *, advanced: bool) -> None:
    """Judge whether a slice that ends counts its error, and nothing but an error."""
    if new.lease is not None or new.status.is_final:
        return
    if new.not_before and str(new.error).startswith(("StoreUnavailable", "StoreFull")):
        _judge_postponement(process, new)
        return
    has_raised = new.job_id in process.raised and not _was_cut_off(process, new)
    if new.status is Status.QUEUED and not has_raised:
        judge_share(process, new)
    failures = has_raised + (0 if advanced else old.guards.failures)
    require(
        new.guards.failures == failures < new.limits.max_failures,
        f"{new.job_id} has {new.guards.failures} failures, should have {failures}",
    )
    wait = new.not_before - new.updated_at
    require(
        bool(new.not_before) == has_raised and wait <= LONGEST_BACKOFF_SECONDS,
        f"{new.job_id} waits for {wait:.1f} s after {failures} failures",
    )


def _was_cut_off(process: Process, new: Record) -> bool:
    """Whether an error was taken for one of a stop signal, which may be only where one came."""
    entry = new.history.latest
    if entry is None or "the step was cut off by" not in entry.ending:
        return False
    require(process.is_stopping, f"{process} blames a stop for an error of {new.job_id}")
    return True


def _judge_postponement(process: Process, new: Record) -> None:
    """Judge the end of a slice whose arrays could not be stored."""
    job, wait = process.job, new.not_before - new.updated_at
    require(job and job.paint and process.has_suffered, f"{process} could have stored its arrays")
    longest = LONGEST_POSTPONEMENT_SECONDS + ROUNDING_SECONDS
    require(wait <= longest, f"{new.job_id} waits for {wait:.1f} s")
    assert job is not None
    job.stalled = max(job.stalled - 1, 0)


def _judge_checkpoint(process: Process, job: Job, old: Record, new: Record) -> bool:
    """Judge the state that is stored; return whether it is progress."""
    if not new.checkpoints or new.checkpoints[:1] == old.checkpoints[:1]:
        return False
    newest = new.checkpoints[0]
    if new.quarantine != old.quarantine:
        process.world.rules.chunks.quarantined(job, new.quarantine[0])
        return False
    require(is_whole(newest), f"a checkpoint of {job} was stored damaged")
    require(
        newest.sequence == new.usage.saves,
        f"checkpoint {newest.sequence} is save {new.usage.saves}",
    )
    require(
        new.usage.saves == old.usage.saves
        or [c.sequence for c in new.checkpoints[1:]] == [c.sequence for c in old.checkpoints[:1]],
        f"the checkpoint of {job} before the newest is gone",
    )
    at, total = position(newest)
    require(total == TOTALS[at], f"{job} has a wrong state: {total} after {at} steps")
    before = next((c for c in old.checkpoints if is_whole(c)), None)
    if before is None or before.digest != newest.digest:
        require(before is None or at > position(before)[0], f"{job} went back to {at}")
        job.stalled, job.raised = 0, int(job.job_id in process.raised)
        return True
    return False


def _judge_accounts(job: Job, new: Record) -> None:
    require(
        new.usage.compute_seconds <= job.kernel_seconds + 1e-6,
        f"{job} is billed {new.usage.compute_seconds:.3f} s of {job.kernel_seconds:.3f} s",
    )
    newest = next((c for c in new.checkpoints if is_whole(c)), None)
    if newest is not None and job.kind != "stalling":
        at, _ = position(newest)
        done = job.begun_at + new.usage.steps
        # Arrays may change after the last state, which is not stored then.
        may_exceed = job.is_damaged or (job.paint and new.status is Status.SUCCEEDED)
        require(done == at or (may_exceed and done > at), f"{job} counts {done} steps at step {at}")


def _judge_failure(job: Job, new: Record) -> None:
    error, limits = str(new.error), new.limits
    is_due = (
        ("without progress: each was killed" in error and job.stalled >= limits.max_stalls)
        or ("in a row without progress" in error and job.raised >= limits.max_failures)
        or (("checksum" in error or "can be read" in error) and job.is_damaged)
    )
    require(is_due, f"{job} failed without need: {error}")
