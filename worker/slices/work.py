"""What was done on a job and is not stored yet, and how long its steps take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.record_parts import Pace
from outlast.worker.slices.timing import SAFETY, longest_lately

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.held import Yielded
    from outlast.worker.slices.unsaved import Unsaved


class Work:
    """The job's totals as of now, and its newest state.

    What is not in the record yet follows from them, also where a write happened whose answer was
    lost.

    Attributes:
        state: the newest state; None until the kernel has yielded one in this slice.
        steps: steps of the kernel, over all slices.
        seconds: time in the kernel, over all slices.
        state_seconds: the part of it until the newest state was there.
        slowest_seconds: the slowest step of this slice.
    """

    def __init__(self, record: Record) -> None:
        """Begin where the job stands."""
        self.state: Yielded | None = None
        self.steps = record.usage.steps
        self.seconds = self.state_seconds = self._stored_seconds = record.usage.compute_seconds
        self.slowest_seconds = 0.0
        self._step_seconds = record.pace.step_seconds
        self._first_step_seconds = record.pace.first_step_seconds

    def advanced(self, state: Yielded, step_seconds: float) -> None:
        """Take over the state that a step has led to, which took so many seconds."""
        self.saw_step(step_seconds)
        self.state = state
        self.steps += 1
        self.state_seconds = self.seconds

    def saw_step(self, seconds: float) -> None:
        """Learn how long a step takes, also from one that is cut off: it takes longer than that."""
        self.slowest_seconds = max(self.slowest_seconds, seconds)
        # The first step of a slice also rebuilds tables: it says nothing about the next.
        if self.state is None:
            self._first_step_seconds = longest_lately(
                self._first_step_seconds, seconds, is_first=True
            )
        else:
            self._step_seconds = longest_lately(self._step_seconds, seconds, is_first=False)

    def stored(self, work: Unsaved) -> None:
        """Note that this work is stored, the newest or an earlier one."""
        self._stored_seconds = work.state_seconds

    def drop_state(self, before: Unsaved | None, record: Record) -> None:
        """Forget a state that cannot be stored.

        The one of `before` stands, which was copied in time; or else the checkpoint in `record`.
        """
        self.state = None
        self.steps = before.steps if before else record.usage.steps
        self.state_seconds = before.state_seconds if before else self._stored_seconds

    @property
    def pace(self) -> Pace:
        """How long steps take, as far as is known now."""
        return Pace(step_seconds=self._step_seconds, first_step_seconds=self._first_step_seconds)

    @property
    def next_step_seconds(self) -> float:
        """The time to allow for one more step; 0: unknown."""
        return SAFETY * self._step_seconds

    @property
    def longest_step_seconds(self) -> float:
        """The time to allow for any step, the first one of a slice included; 0: unknown."""
        return SAFETY * max(self._first_step_seconds, self._step_seconds)
