"""A claimed job in the hands of a worker: what was done on it, and the writes that store that.

Every write is fenced by the lease: a worker whose lease was taken finds out at its next write, and
writes nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import LeaseLost, StoreUnavailable
from outlast.checkpoint.parts import Checkpoint, digest_of
from outlast.worker.slices.kernel_output import Unusable, line, stored_state
from outlast.worker.telemetry.events import STORE_UNAVAILABLE, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from outlast.checkpoint.jobs import Held
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.process import AnyKernel, Runtime

    Move = Callable[[Record], Record]

log = logging.getLogger("outlast.slice")

# Waits between the attempts at the last save of a slice, whose loss would cost the most.
LAST_SAVE_WAITS_SECONDS = (0.1, 0.4, 1.5)


class Holding:
    """The job, the lease on it, and how far it has come beyond what is stored.

    Attributes:
        params: the kernel's parameters; None until they are read.
        state: the newest state; None until the kernel has yielded one.
        steps, seconds: the job's totals as of now. What is not in the record yet follows from them,
            also where a write happened whose answer was lost.
    """

    def __init__(self, runtime: Runtime, held: Held, kernel: AnyKernel) -> None:
        """Hold `held`, which was just claimed.

        Raises:
            LeaseLost: it has no lease.
        """
        if held.record.lease is None:
            raise LeaseLost(f"job {held.record.job_id} was not claimed")
        self._runtime = runtime
        self._held = held
        self._token = held.record.lease.token
        self._kernel = kernel
        self.params: BaseModel | None = None
        self.state: BaseModel | None = None
        self.steps = held.record.usage.steps
        self.seconds = held.record.usage.compute_seconds

    @property
    def record(self) -> Record:
        """The job as last stored."""
        return self._held.record

    @property
    def progress(self) -> float:
        """The share of the work that is done, stored or not, 0 to 1.

        Raises:
            Unusable: the kernel cannot tell.
        """
        if self.state is None:
            return self.record.progress
        try:
            share = float(self._kernel.progress(self.params, self.state))
        except BaseException as error:
            raise Unusable(f"cannot tell its progress: {line(error)}") from error
        return min(max(0.0, share), 1.0)  # in this order not a number is 0

    def advanced(self, state: BaseModel) -> None:
        """Take over the state that a step has led to."""
        self.state = state
        self.steps += 1

    def drop_state(self) -> None:
        """Forget a state that cannot be stored: the checkpoint before it stands."""
        self.state, self.steps = None, self.record.usage.steps

    def overspent(self) -> str | None:
        """Return that the ceiling on compute time is reached, or None if it is not."""
        if self.record.limits.max_compute_seconds is None:
            return None
        return self.record.spent(steps=self.steps, seconds=self.seconds).overspent()

    def pending(self) -> Move:
        """Return the move that stores what was done since the last save and renews the lease.

        Raises:
            Unusable: the state does not survive being stored.
            StateTooLarge: the state is over the limit.
        """
        steps, seconds = self.steps, self.seconds
        checkpoint = None
        if self.state is not None and steps != self.record.usage.steps:
            checkpoint = self._checkpoint_of(self.state)
        pace = self._runtime.pace
        expires_at = self._runtime.jobs.clock() + pace.lease_seconds
        at_risk = pace.at_risk_seconds

        def pending(record: Record) -> Record:
            moved = record.spent(steps=steps, seconds=seconds)
            if checkpoint is not None:
                moved = moved.saved(checkpoint)
            return moved.renewed(expires_at=expires_at, at_risk_seconds=at_risk)

        return pending

    def write(self, move: Move) -> Held:
        """Store what `move` makes of the record; return that.

        Raises:
            LeaseLost: another worker has the job, or it was cancelled; nothing was written.
            StoreUnavailable: nothing may have been written.
        """
        self._held = self._runtime.jobs.advance(self._held, self._token, move)
        return self._held

    def write_at_last(self, move: Move) -> Held:
        """Do as `write`, trying more than once."""
        for seconds in LAST_SAVE_WAITS_SECONDS:
            try:
                return self.write(move)
            except StoreUnavailable as error:
                self.tell_unsaved("tries its last save again", error)
                self._runtime.sleep(seconds)
        return self.write(move)

    def tell_unsaved(self, effect: str, error: StoreUnavailable) -> None:
        """Log that a write failed, and what becomes of the job."""
        effect = f"job {self.record.job_id} {effect}"
        tell(log, STORE_UNAVAILABLE, effect=effect, error=str(error))

    def _checkpoint_of(self, state: BaseModel) -> Checkpoint:
        runtime = self._runtime
        data = stored_state(self._kernel, state, max_bytes=runtime.max_state_bytes)
        return Checkpoint(
            state=data,
            digest=digest_of(data),
            version=self._kernel.version,
            slice=self.record.slice_number,
            progress=self.progress,
            saved_at=runtime.jobs.clock(),
        )
