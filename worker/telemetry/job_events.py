"""The events of a job: at its claim, in its slice and at the end of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.status import Status
from outlast.worker.telemetry.events import (
    CHECKPOINT_QUARANTINED,
    CHECKPOINT_SAVED,
    JOB_FAILED,
    JOB_SUCCEEDED,
    KERNEL_PREPARING,
    LEASE_LOST,
    SAFE_POINT_OVERDUE,
    SLICE_ENDED,
    SLICE_LOST,
    SLICE_RUNNING,
    SLICE_STARTED,
    is_wanted,
    tell,
)
from outlast.worker.telemetry.rate import rate_of

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.record_parts import Lease

log = logging.getLogger("outlast.delivery")

OVER = {Status.SUCCEEDED: JOB_SUCCEEDED, Status.FAILED: JOB_FAILED}

# What follows where a kernel comes to no safe point, and what to do.
OVERDUE = (
    ", so it can be neither saved nor stopped: let it yield more often, or run it isolated "
    "(--isolate, OUTLAST_ISOLATE=true)"
)
OVERDUE_ISOLATED = ", so nothing is saved: let it yield more often"


def tell_claim(before: Record, claimed: Record, platform: str) -> None:
    """Tell what a worker on `platform` found when it made `claimed` of `before`.

    That is a slice that begins, or a job that is given up; a worker before it that died; damage.
    """
    if before.lease is not None:
        redone = claimed.usage.redone_seconds - before.usage.redone_seconds
        tell(log, SLICE_LOST, **_slice(before, before.lease), redone_seconds=redone)
    tell_quarantine(before, claimed)
    if claimed.lease is None:
        tell_over(claimed, platform)
    elif is_wanted(log, SLICE_STARTED):
        tell(
            log,
            SLICE_STARTED,
            **_slice(claimed, claimed.lease),
            progress=claimed.progress_if_known(claimed.progress),
        )


def tell_quarantine(before: Record, after: Record) -> None:
    """Tell which checkpoints were put aside between the two."""
    for checkpoint in after.quarantine:
        if checkpoint not in before.quarantine:
            tell(
                log,
                CHECKPOINT_QUARANTINED,
                job_id=after.job_id,
                kernel=after.kernel,
                sequence=checkpoint.sequence,
            )


def tell_running(record: Record, seconds: float, now: float) -> None:
    """Tell how far a slice is that has run for so many seconds; `now` is the wall clock's."""
    # To work out the pace takes time: only if the event is logged.
    if record.lease is not None and is_wanted(log, SLICE_RUNNING):
        rate = rate_of(record, now)
        tell(
            log,
            SLICE_RUNNING,
            **_slice(record, record.lease),
            progress=record.progress_if_known(record.progress),
            seconds=seconds,
            per_second=rate.per_second,
            seconds_left=rate.seconds_left,
        )


def tell_preparing(record: Record, seconds: float) -> None:
    """Tell that a slice has prepared its kernel for so many seconds, and still does."""
    if record.lease is not None:
        tell(log, KERNEL_PREPARING, **_slice(record, record.lease), seconds=seconds)


def tell_overdue(record: Record, seconds: float, *, is_isolated: bool) -> None:
    """Tell that the kernel has come to no safe point for so many seconds, and what to do."""
    if record.lease is not None:
        words = {"so": OVERDUE_ISOLATED if is_isolated else OVERDUE}
        slice_ = _slice(record, record.lease)
        tell(log, SAFE_POINT_OVERDUE, words=words, **slice_, seconds=seconds)


def tell_ending(claimed: Record, ended: Record, told: str | None = None) -> None:
    """Tell what the slice that was `claimed` came to, and why it stopped where it did.

    Its error is in a line of its own, or in that of the job's end; `told` is one that was told.
    """
    if (lease := claimed.lease) is None:
        return
    # Reading the history takes time: only if the event is logged.
    if is_wanted(log, SLICE_ENDED) and (entry := ended.history.latest):
        outcome = _outcome(ended, entry.ending)
        tell(
            log,
            SLICE_ENDED,
            words={"how": _without_error(outcome, entry.ending)},
            **_slice(claimed, lease),
            progress=ended.progress_if_known(entry.progress),
            seconds=entry.seconds,
            compute_seconds=ended.usage.compute_seconds - claimed.usage.compute_seconds,
            checkpoints=ended.usage.saves - claimed.usage.saves,
            outcome=outcome,
            ending=entry.ending,
            created_at=ended.created_at,
            metrics=ended.metrics,
        )
    tell_over(ended, lease.platform, told)


def tell_save(record: Record, seconds: float) -> None:
    """Tell that the job was saved in the middle of its slice, which took so many seconds."""
    if record.checkpoints and is_wanted(log, CHECKPOINT_SAVED):
        tell(
            log,
            CHECKPOINT_SAVED,
            job_id=record.job_id,
            part=_part(record),
            kernel=record.kernel,
            slice=record.slice_number,
            progress=record.progress_if_known(record.progress),
            seconds=seconds,
            bytes=record.checkpoints[0].packed.size + record.checkpoints[0].bulk_bytes,
            metrics=record.metrics,
        )


def tell_lost_lease(claimed: Record, seconds: float) -> None:
    """Tell that the slice that was `claimed` has lost its job, after so many seconds."""
    if claimed.lease is not None:
        slice_ = _slice(claimed, claimed.lease)
        tell(log, LEASE_LOST, **slice_, seconds=seconds, created_at=claimed.created_at)


def tell_over(record: Record, platform: str, told: str | None = None) -> None:
    """Tell that the job has succeeded or failed, if it has; the end of a part is not the job's.

    An error that was `told` is not in the line again.
    """
    if record.node is not None or (event := OVER.get(record.status)) is None:
        return
    error: dict[str, Any] = {"error": record.error} if event is JOB_FAILED else {}
    tell(
        log,
        event,
        words={"why": _without(told, record.error or "")},
        job_id=record.job_id,
        kernel=record.kernel,
        platform=platform,
        slices=record.usage.slices_begun,
        compute_seconds=record.usage.compute_seconds,
        redone_seconds=record.usage.redone_seconds,
        created_at=record.created_at,
        **error,
    )


def _slice(record: Record, lease: Lease) -> dict[str, Any]:
    return {
        "job_id": record.job_id,
        "part": _part(record),
        "kernel": record.kernel,
        "slice": record.slice_number,
        "worker": lease.worker,
        "platform": lease.platform,
    }


def _part(record: Record) -> int | None:
    return record.node.number if record.node else None


def _without(told: str | None, error: str) -> str:
    """Return why a job failed, without the beginning that was told."""
    return error.removeprefix(told) if told and error.startswith(told) else f": {error}"


def _without_error(outcome: str, ending: str) -> str:
    """Return how a slice ended, without what another line tells."""
    if outcome == Status.FAILED:
        return outcome
    return ending.partition(":")[0] if outcome == "error" else ending


def _outcome(ended: Record, ending: str) -> str:
    """Return why a slice ended, as one of few words that a metric may be counted by."""
    if ended.status is not Status.QUEUED:
        return str(ended.status)
    # After a colon comes what a signal has cut off.
    return "error" if ended.not_before else ending.partition(":")[0]
