"""A job as people and programs see it: the one view of a record that leaves Outlast."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.registers import redacted

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record


def view(record: Record) -> dict[str, Any]:
    """Return what there is to know of a job, as a JSON object.

    `progress` is the share that is done and stored, 0 to 1. Times are ISO 8601 in UTC. `stalls` are
    slices begun, `failures` errors since the job last advanced: at `max_stalls` no further slice
    begins, at `max_failures` the job fails; both count from 0 once it advances. `worker`
    is who runs the slice and `platform` where, None while nobody does; `result` and `error` are
    None while there is none. `notified` is whether all in `notify` were told that the job is over,
    None where there are none; each has a status "waiting", "owed", "told" or "given up".
    """
    return {
        "job_id": record.job_id,
        "kernel": record.kernel,
        "params": record.params,
        "tags": list(record.tags),
        "status": str(record.status),
        "progress": record.progress,
        "slices": record.usage.slices_begun,
        "steps": record.usage.steps,
        "saves": record.usage.saves,
        "compute_seconds": round(record.usage.compute_seconds, 6),
        "redone_seconds": round(record.usage.redone_seconds, 6),
        "stalls": record.guards.stalls,
        "max_stalls": record.limits.max_stalls,
        "failures": record.guards.failures,
        "max_failures": record.limits.max_failures,
        "worker": record.lease.worker if record.lease else None,
        "platform": record.lease.platform if record.lease else None,
        "result": record.result,
        "error": record.error,
        "notify": [
            {"target": redacted(target), "status": _notice(record, target)}
            for target in record.notices.targets
        ],
        "notified": is_notified(record),
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
    }


def is_notified(record: Record) -> bool | None:
    """Return whether all in `notify` were told that the job is over; None: there are none."""
    if not record.notices.targets:
        return None
    return record.status.is_final and not record.notices.owed and not record.notices.given_up


def _notice(record: Record, target: str) -> str:
    if not record.status.is_final:
        return "waiting"
    if target in record.notices.owed:
        return "owed"
    return "given up" if target in record.notices.given_up else "told"


def moment(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    found = datetime.fromtimestamp(seconds, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
