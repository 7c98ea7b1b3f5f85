"""A job as people and programs see it: the one view of a record that leaves Outlast."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.safe_text import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlast.checkpoint.record import Record


def view(
    record: Record, *, parts: Mapping[str, int] | None = None, progress: float | None = None
) -> dict[str, Any]:
    """Return a job as a JSON object.

    `parallel` is for how many workers it is divided; None: it is not. `parts` are how many it has
    and how they stand, and `progress` what follows from them; None: what the record says.

    `progress` is the share that is done and stored, 0 to 1, `metrics` the kernel's own
    figures by name. Times are ISO 8601 in UTC. `stalls`
    counts slices, and `failures` errors, since the job last advanced: at `max_stalls` no further
    slice begins, at `max_failures` the job fails. `worker` and `platform` name who runs the slice
    and where; None: nobody does. `result` and `error` are None while there is none. Arrays are in
    the form of `short`. Each target in
    `notify` has a status "waiting", "owed", "told" or "given up"; `notified` says whether all were
    told that the job is over; None: there are no targets.
    """
    return {
        "job_id": record.job_id,
        "kernel": record.kernel,
        "params": short(record.params),
        "tags": list(record.tags),
        "status": str(record.status),
        "progress": record.progress if progress is None else progress,
        "metrics": record.metrics,
        "parallel": record.fleet.parallel if record.fleet else None,
        "parts": dict(parts) if parts is not None else None,
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
        "result": short(record.result),
        "error": record.error,
        "notify": [
            {"target": redacted(target), "status": _notice_status(record, target)}
            for target in record.notices.targets
        ],
        "notified": is_notified(record),
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
    }


def short(value: Any) -> Any:
    """Return a JSON value in which an array is its type and shape, and a blob how long it is.

    These are `{"array": "<f4", "shape": [2, 3]}` and `{"blob": 16}`: the bytes are elsewhere, and
    where is of no use to who looks at a job.
    """
    if isinstance(value, dict):
        match value:
            case {"$array": dtype, "shape": shape, "at": _, **rest} if rest.keys() <= {"order"}:
                return {"array": dtype, "shape": shape}
            case {"$blob": size, "at": _, **rest} if not rest:
                return {"blob": size}
        return {name: short(part) for name, part in value.items()}
    return [short(part) for part in value] if isinstance(value, list) else value


def is_notified(record: Record) -> bool | None:
    """Return whether all targets were told that the job is over; None: it has no targets."""
    if not record.notices.targets:
        return None
    return record.status.is_final and not record.notices.owed and not record.notices.given_up


def _notice_status(record: Record, target: str) -> str:
    if not record.status.is_final:
        return "waiting"
    if target in record.notices.owed:
        return "owed"
    return "given up" if target in record.notices.given_up else "told"


def moment(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    utc = datetime.fromtimestamp(seconds, UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rounded(number: float) -> str:
    """Return a figure of a kernel's as people read it, to six digits."""
    return f"{number:.6g}"


def figures_line(metrics: dict[str, float]) -> str:
    """Return a kernel's figures on one line; "": there are none."""
    return " ".join(f"{name}={rounded(value)}" for name, value in metrics.items())
