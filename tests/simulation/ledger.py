"""What the simulation knows of each job, apart from what the workers have stored."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.record_parts import digest_of
from tests.kernels import expected
from tests.simulation.painting import Paint, picture

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.record_parts import Checkpoint
    from tests.simulation.chunks import Need
    from tests.simulation.painting import Picture

LONGEST_JOB = 60


# The right total after so many steps.
TOTALS = [expected(steps)["total"] for steps in range(LONGEST_JOB + 1)]


@dataclass
class Job:
    """One job.

    Attributes:
        kind: "sound", "poison" (always raises at some step), "stalling" (never advances) or
            "deadly" (whose kernel takes the process down when it is loaded).
        begun_at: the step from which it starts, as a fork of another job; 0 for any other.
        notify: the targets to notify of its end.
        paint: what it has of arrays; None: it has none.
        record: as it is stored; None until it is submitted.
        raised: errors since the job last advanced. stalled: claims since then.
        kernel_seconds: computed for it, lost or not.
        sends: messages for each slice, by workers that knew of it.
        sweeps: messages for each slice by sweeps, since the last claim.
        in_hand: a person has changed it and not yet sent its message.
        is_deleted: it was removed; another job may have its id then.
        is_second: its id was that of a deleted job, whose messages may still come.
        is_lossy: messages or writes of it were lost outright. is_damaged: stored bytes were.
        keep_paused: a person wants it to be paused at the end.
        settled_slice: from this slice on, after all faults, there is one message for each slice.
        notices: how often a target was notified of each of the job's ends, by the end's id.
        ends: the ids of all its ends: a job that is retried has more than one.
        gone: targets that want no more notices.
        was_paused: it ended while it was paused, so its message may have been acknowledged.
        longest_lease: in seconds, that any worker took or renewed.
        needs: which chunks each of its stored records needed, the newest last.
        extras: messages sent beyond that. spares: as many of them as there may be.
    """

    job_id: str
    kind: str
    steps: int
    begun_at: int = 0
    notify: tuple[str, ...] = ()
    paint: Paint | None = None
    record: Record | None = None
    raised: int = 0
    stalled: int = 0
    kernel_seconds: float = 0.0
    sends: Counter[int | None] = field(default_factory=Counter)
    sweeps: Counter[int | None] = field(default_factory=Counter)
    in_hand: bool = False
    is_deleted: bool = False
    is_second: bool = False
    is_lossy: bool = False
    is_damaged: bool = False
    keep_paused: bool = False
    settled_slice: int | None = None
    notices: Counter[tuple[str, str]] = field(default_factory=Counter)
    ends: set[str] = field(default_factory=set)
    was_paused: bool = False
    gone: set[str] = field(default_factory=set)
    longest_lease: float = 0.0
    needs: list[Need] = field(default_factory=list)
    extras: int = 0
    spares: int = 0

    def __str__(self) -> str:
        return self.job_id

    def successor(self) -> Job:
        """Return the job that is submitted under the same id once this one is deleted."""
        kept = {name: getattr(self, name) for name in ("notices", "ends", "gone", "spares")}
        same = {"notify": self.notify, "paint": self.paint}
        return Job(self.job_id, self.kind, self.steps, is_second=True, **same, **kept)

    @property
    def expected(self) -> Any:
        """The right result as a JSON value."""
        return self.picture.value if self.paint else {"total": TOTALS[self.steps]}

    @property
    def picture(self) -> Picture:
        """What is right of its arrays."""
        assert self.paint is not None
        return picture(self.paint, self.steps)


def is_whole(checkpoint: Checkpoint) -> bool:
    """Whether the state is what was stored; the workers' own look at it may be broken."""
    return digest_of(checkpoint.packed.unpacked()) == checkpoint.digest


def position(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return the steps and the total in a checkpoint of either version."""
    state = json.loads(checkpoint.state)
    return state["at" if checkpoint.version == 1 else "done"], state["total"]
