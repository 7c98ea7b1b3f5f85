"""The events that a worker logs: their names, levels, texts and fields, all in one file.

Each is a record of the standard `logging` module below the logger "outlast": `record.event` is its
name, and each of its fields is an attribute of the record, as `extra` makes them. Any handler or
formatter can use them, as those of this package do. docs/operations.md has a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from logging import DEBUG, ERROR, INFO, WARNING
from typing import TYPE_CHECKING, Any

from outlast.worker.telemetry.rate import pace_of

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

EVENTS: dict[str, Event] = {}


@dataclass(frozen=True)
class Event:
    """Something that an operator may want to know.

    Attributes:
        name: its name for machines.
        level: a level of `logging`.
        text: the line for people, in which `%(at)` are the words for the field `progress`,
            `%(of_part)` those for `part`, and `%(pace)` those for `per_second` and `seconds_left`.
        fields: the names of the fields that `tell` needs. The unit is at the end of a name:
            "seconds", "bytes"; "progress" is a share, 0 to 1, or None where a part does not tell,
            and "per_second" what it grows by; "metrics" are a kernel's figures by name;
            "created_at" is in seconds since the epoch; "part" is the number of the part, None where
            the job is not divided.
    """

    name: str
    level: int
    text: str
    fields: tuple[str, ...]


def tell(
    log: logging.Logger,
    event: Event,
    *,
    cause: BaseException | None = None,
    words: Mapping[str, str] | None = None,
    **fields: Any,
) -> None:
    """Log `event` with its fields, and the traceback of `cause` for formatters that show it.

    `words` are what its text has beside the fields.
    """
    if is_wanted(log, event):
        values = {**fields, **(words or {})}
        if "progress" in fields:
            share = fields["progress"]
            values["at"] = "" if share is None else f" at {share:.2%}"
        if "part" in fields:
            values["of_part"] = "" if fields["part"] is None else f" part {fields['part']}"
        if "per_second" in fields:
            values["pace"] = pace_of(fields["per_second"], fields["seconds_left"])
        extra = {"event": event.name, **fields}
        log.log(event.level, event.text, values, extra=extra, exc_info=cause, stacklevel=2)


def is_wanted(log: logging.Logger, event: Event) -> bool:
    """Return whether the event's level is logged; if not, do not compute its fields."""
    # logging.config disables all loggers that it does not know: a kernel's package that calls it
    # would silence the worker, and its metrics.
    log.disabled = False
    return log.isEnabledFor(event.level)


def _event(level: int, name: str, text: str, fields: str) -> Event:
    EVENTS[name] = Event(name, level, text, tuple(fields.split()))
    return EVENTS[name]


SLICE = "job_id part kernel slice worker platform"
JOB = "job_id kernel platform slices compute_seconds redone_seconds created_at"

# ---- Jobs

JOB_SUBMITTED = _event(
    INFO, "job_submitted", "job %(job_id)s of kernel %(kernel)s submitted", "job_id kernel"
)
JOB_SUCCEEDED = _event(
    INFO,
    "job_succeeded",
    "job %(job_id)s succeeded: %(compute_seconds).1f s of computing, slices: %(slices)d",
    JOB,
)
JOB_FAILED = _event(ERROR, "job_failed", "job %(job_id)s failed%(why)s", f"{JOB} error")
JOB_WOKEN = _event(
    WARNING, "job_woken", "job %(job_id)s had lost its message: woken", "job_id slice"
)

NOTICE_GIVEN = _event(
    INFO, "notice_given", "job %(job_id)s is over: told %(target)s", "job_id target"
)
NOTICE_FAILED = _event(
    WARNING,
    "notice_failed",
    "job %(job_id)s is over, but %(target)s was not told: %(error)s",
    "job_id target error",
)
NOTICE_GIVEN_UP = _event(
    ERROR,
    "notice_given_up",
    "job %(job_id)s is over, and %(target)s will not be told",
    "job_id target",
)

# ---- Slices

SLICE_STARTED = _event(
    DEBUG,
    "slice_started",
    "job %(job_id)s%(of_part)s slice %(slice)d starts%(at)s on %(worker)s",
    f"{SLICE} progress",
)
SLICE_RUNNING = _event(
    INFO,
    "slice_running",
    "job %(job_id)s%(of_part)s slice %(slice)d runs on %(worker)s,%(at)s after "
    "%(seconds).0f s: %(pace)s",
    f"{SLICE} progress seconds per_second seconds_left",
)
CHECKPOINT_SAVED = _event(
    DEBUG,
    "checkpoint_saved",
    "job %(job_id)s%(of_part)s slice %(slice)d saved%(at)s in %(seconds).3f s",
    "job_id part kernel slice progress seconds bytes metrics",
)
SLICE_ENDED = _event(
    INFO,
    "slice_ended",
    "job %(job_id)s%(of_part)s slice %(slice)d ended%(at)s after %(seconds).2f s: %(how)s",
    f"{SLICE} progress seconds compute_seconds checkpoints outcome ending created_at metrics",
)
SLICE_LOST = _event(
    WARNING,
    "slice_lost",
    "job %(job_id)s%(of_part)s slice %(slice)d was lost with worker %(worker)s: about "
    "%(redone_seconds).1f s of its work are done again",
    f"{SLICE} redone_seconds",
)
LEASE_LOST = _event(
    WARNING,
    "lease_lost",
    "job %(job_id)s%(of_part)s was cancelled or claimed by another worker: slice %(slice)d "
    "stopped, nothing written",
    f"{SLICE} seconds created_at",
)
CHECKPOINT_QUARANTINED = _event(
    ERROR,
    "checkpoint_quarantined",
    "job %(job_id)s: checkpoint %(sequence)d is damaged and kept for inspection; the job goes on "
    "from the newest that is intact",
    "job_id kernel sequence",
)
WRITES_LOST = _event(
    ERROR,
    "writes_lost",
    "job %(job_id)s: the store has slice %(slice)d, a message has slice %(announced)d: the store "
    "has lost writes, or the id of a job that was deleted is used again",
    "job_id slice announced",
)

# ---- Kernels

KERNEL_FAILED = _event(
    ERROR, "kernel_failed", "job %(job_id)s: %(error)s", "job_id kernel slice error"
)
KERNEL_PREPARING = _event(
    INFO,
    "kernel_preparing",
    "job %(job_id)s%(of_part)s slice %(slice)d prepares kernel %(kernel)s, for %(seconds).0f s so "
    "far: on its first run on a machine it may be compiled",
    f"{SLICE} seconds",
)
KERNEL_NOT_PREPARED = _event(
    WARNING,
    "kernel_not_prepared",
    "job %(job_id)s: kernel %(kernel)s did not prepare: %(error)s",
    "job_id kernel error",
)
SAFE_POINT_OVERDUE = _event(
    WARNING,
    "safe_point_overdue",
    "job %(job_id)s%(of_part)s slice %(slice)d: kernel %(kernel)s has come to no safe point for "
    "%(seconds).0f s%(so)s",
    f"{SLICE} seconds",
)
METRIC_REFUSED = _event(
    WARNING,
    "metric_refused",
    "kernel %(kernel)s: one of its metrics is not shown: %(error)s",
    "kernel error",
)
KERNEL_NOT_CLOSED = _event(
    WARNING,
    "kernel_not_closed",
    "job %(job_id)s: kernel %(kernel)s did not close: %(error)s",
    "job_id kernel error",
)

# ---- Store and queue

_UNAVAILABLE = ("%(effect)s: %(error)s%(so_far)s", "effect error seconds failures")
STORE_UNAVAILABLE = _event(WARNING, "store_unavailable", *_UNAVAILABLE)
QUEUE_UNAVAILABLE = _event(WARNING, "queue_unavailable", *_UNAVAILABLE)
STORE_ANSWERS = _event(
    INFO, "store_answers", "the store answers again, after %(seconds).0f s", "seconds failures"
)
QUEUE_ANSWERS = _event(
    INFO, "queue_answers", "the queue answers again, after %(seconds).0f s", "seconds failures"
)
RECORD_UNREADABLE = _event(ERROR, "record_unreadable", "%(error)s", "error")
MESSAGE_DROPPED = _event(
    INFO, "message_dropped", "job %(job_id)s was deleted: its message is dropped", "job_id"
)
MESSAGE_LEFT = _event(
    ERROR,
    "message_left",
    "left for other workers or the dead-letter queue: %(error)s",
    "error error_type",
)
MESSAGE_FAILED = _event(
    ERROR,
    "message_failed",
    "message %(message_id)s will come again: %(error)s",
    "message_id error error_type",
)

# ---- Workers

WORKER_STARTED = _event(
    INFO, "worker_started", "worker %(worker)s starts on %(platform)s", "worker platform"
)
WORKER_IDLE = _event(INFO, "worker_idle", "worker %(worker)s waits for messages", "worker")
WORKER_FAULT = _event(
    ERROR,
    "worker_fault",
    "worker %(worker)s takes this for its machine's fault and leaves the job to others: %(error)s",
    "worker error",
)
WORKER_STOPPED = _event(
    INFO, "worker_stopped", "worker %(worker)s stops: %(reason)s", "worker reason"
)
MACHINE_LEAVES = _event(
    WARNING, "machine_leaves", "this machine is going away, the worker stops: %(reason)s", "reason"
)
NOTICES_UNKNOWN = _event(
    WARNING,
    "notices_unknown",
    "whether this machine is to be taken away is not known: %(error)s; the worker goes on asking",
    "error",
)
WORKER_CUT_OFF = _event(
    WARNING,
    "worker_cut_off",
    "worker %(worker)s %(how)s; another worker goes on from the last checkpoint",
    "worker how",
)
TRACES_UNSENT = _event(
    WARNING, "traces_unsent", "the last traces were not sent within %(seconds).1f s", "seconds"
)
