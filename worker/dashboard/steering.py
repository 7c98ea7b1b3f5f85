"""The buttons of a job: which there are in each status, and what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from outlast.worker.dashboard.guard import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client

ALL = frozenset(Status)
LIVE = frozenset({Status.QUEUED, Status.RUNNING})

# In the order on the page: the statuses in which a job has the button.
BUTTONS: dict[str, frozenset[Status]] = {
    "pause": LIVE,
    "resume": frozenset({Status.PAUSED}),
    "retry": frozenset({Status.FAILED}),
    "fork": ALL,
    "cancel": LIVE | {Status.PAUSED},
}
# These open a page of their own first: one cannot be undone, the other has options.
ASKING = frozenset({"cancel", "fork"})

DONE = {
    "pause": "Paused. A slice that runs saves its progress and stops at its next checkpoint.",
    "resume": "Resumed. It goes on as soon as a worker is free.",
    "retry": "Retried. It goes on from what it has stored as soon as a worker is free.",
    "fork": "This is the new job. It goes on as soon as a worker is free.",
    "cancel": "Cancelled. A slice that runs stops at its next checkpoint.",
}


def buttons_for(record: Record) -> list[str]:
    """Return the buttons that a job has in its status."""
    return [verb for verb, statuses in BUTTONS.items() if record.status in statuses]


def steer(client: Client, verb: str, job_id: str, form: Mapping[str, str]) -> str:
    """Do what the button `verb` says and return the id of the job to show next.

    Raises what `Client`'s method of that name raises.

    Raises:
        Refused: no page of the dashboard sends such a form.
    """
    if verb == "fork":
        return client.fork(
            job_id,
            generation=_number(form.get("generation", "")),
            new_id=form.get("new_id", "").strip() or None,
        )
    moves: dict[str, Callable[[str], Record]] = {
        "pause": client.pause,
        "resume": client.resume,
        "retry": client.retry,
        "cancel": client.cancel,
    }
    return moves[verb](job_id).job_id


def _number(text: str) -> int | None:
    """Return the generation in a form; None: the newest."""
    try:
        return int(text) if text else None
    except ValueError:
        raise Refused("the generation of a checkpoint is a number") from None
