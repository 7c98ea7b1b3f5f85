"""One slice: resume the kernel, advance it until the deadline, save, release.

The slice holds the job's lease. Every write it makes is fenced by it: a worker whose lease was
taken finds out at its next write, and writes nothing.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING

from checkpoint.errors import CorruptCheckpoint, LeaseLost, StateTooLarge, StoreUnavailable
from checkpoint.parts import Checkpoint, digest_of
from checkpoint.record import Record
from checkpoint.status import Status
from kernel import NonRetryable
from worker.events import (
    CHECKPOINT_SAVED,
    KERNEL_FAILED,
    KERNEL_NOT_CLOSED,
    STORE_UNAVAILABLE,
    tell,
)
from worker.isolation import Busy, isolated
from worker.place import located
from worker.storable import Unusable, line, stored_result, stored_state

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pydantic import BaseModel

    from checkpoint.jobs import Held
    from worker.deadline import Deadline
    from worker.runtime import AnyKernel, Runtime

    Move = Callable[[Record], Record]
    Steps = Generator[BaseModel | Busy, None, BaseModel]

log = logging.getLogger("outlast.slice")

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0
# Waits between the attempts at the last save of a slice, whose loss would cost the most.
LAST_SAVE_WAITS_SECONDS = (0.1, 0.4, 1.5)


class Slice:
    """The run of one claimed job on this worker, from its checkpoint to its release."""

    def __init__(
        self,
        runtime: Runtime,
        held: Held,
        kernel: AnyKernel,
        deadline: Deadline,
        keep_hidden: Callable[[float], None],
    ) -> None:
        """Advance `held`, which was just claimed.

        `keep_hidden` extends the visibility timeout of the delivery to that many seconds from now.
        """
        if held.record.lease is None:
            raise LeaseLost(f"job {held.record.job_id} was not claimed")
        self._runtime = runtime
        self._held = held
        self._token = held.record.lease.token
        self._kernel = kernel
        self._deadline = deadline
        self._keep_hidden = keep_hidden
        self._params: BaseModel | None = None
        self._state: BaseModel | None = None
        # The job's totals as of now. What is not in the record yet follows from them, also where a
        # write happened whose answer was lost.
        self._steps = held.record.steps
        self._seconds = held.record.compute_seconds
        self._step_seconds = 0.0  # of the step that has not ended yet
        self._saved_at = self.stopped_at = runtime.clock()

    @property
    def record(self) -> Record:
        """The job as last stored."""
        return self._held.record

    @property
    def progress(self) -> float:
        """The share of the work that is done, stored or not, 0 to 1."""
        if self._state is None:
            return self.record.progress
        share = float(self._kernel.progress(self._params, self._state))
        return min(max(0.0, share), 1.0)  # in this order not a number is 0

    def run(self) -> Held:
        """Advance the job until it ends or the deadline; return it as it was left.

        Raises:
            LeaseLost: another worker has the job, or it was cancelled; nothing was written since.
            StoreUnavailable: the last save was not possible; the checkpoint before it stands.
        """
        try:
            self._params = self._kernel.Params.model_validate_json(self.record.params_json)
            state = self._restore()
            steps = self._start(state)
        except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
            reason = f"cannot go on from its checkpoint: {located(error, type(self._kernel))}"
            return self._write(self._closed(lambda record: record.failed(reason)))
        try:
            ending = self._advance(steps)
            self.stopped_at = self._runtime.clock()
            return self._end(ending)
        finally:
            self._close(steps)

    def pass_on(self) -> Held:
        """End the slice without a step, for the next one; return the job as it was left.

        Raises:
            LeaseLost, StoreUnavailable: as `run`.
        """
        return self._write_at_last(self._closed(lambda record: record.released()))

    def _restore(self) -> BaseModel | None:
        """Return the state of the newest intact checkpoint, migrated from an older version."""
        if not self.record.checkpoints:
            return None
        # They were verified at the claim, and may have been read again since.
        checkpoint = next((c for c in self.record.checkpoints if c.is_intact), None)
        if checkpoint is None:
            raise CorruptCheckpoint("none of its checkpoints has its checksum")
        state = checkpoint.state
        if checkpoint.version != self._kernel.version:
            migrated = self._kernel.migrate(json.loads(state), checkpoint.version)
            state = json.dumps(migrated).encode()
        restored: BaseModel = self._kernel.State.model_validate_json(state)
        return restored

    def _start(self, state: BaseModel | None) -> Steps:
        """Return the kernel at its start, in a child process if it or the worker wants that."""
        if self._runtime.isolate or self._kernel.may_not_return:
            return isolated(self._kernel, self._params, state, self._runtime.resources)
        steps: Steps = self._kernel.run(self._params, state, self._runtime.resources)
        return steps

    def _advance(self, steps: Steps) -> Move:
        """Run steps until there is a reason to stop; return the move that ends the slice."""
        clock = self._runtime.clock
        while True:
            begun = clock()
            try:
                self._took(next(steps), clock() - begun)
            except StopIteration as end:
                self._seconds += clock() - begun
                return self._success(end.value)
            except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
                self._seconds += clock() - begun
                return self._failure(error)
            if reason := self._overspent():
                return partial(Record.failed, error=reason)
            if self._must_stop():
                return lambda record: record.released()
            try:
                self._keep_house()
            except (Unusable, StateTooLarge) as error:
                self._drop_state()
                return self._failure(error)

    def _took(self, state: BaseModel | Busy, seconds: float) -> None:
        """Account for one step, or for the part of it that has passed."""
        if not isinstance(state, (self._kernel.State, Busy)):
            raise Unusable(f"yielded {type(state).__name__} instead of its State")
        self._seconds += seconds
        self._step_seconds += seconds
        if isinstance(state, Busy):
            return
        # The first step of a slice also rebuilds tables: it says nothing about the next.
        if self._state is not None:
            self._runtime.pace.saw_step(self._step_seconds)
        self._step_seconds = 0.0
        self._state = state
        self._steps += 1
        if self._runtime.watch is not None:
            self._runtime.watch(self)

    def _must_stop(self) -> bool:
        """Whether the deadline has come, would pass before the next step ends, or a pause has."""
        paused = self.record.status is Status.PAUSED
        # An isolated step that has begun may use all the time there is: it can be cut off.
        needed = 0.0 if self._step_seconds else self._runtime.pace.next_step_seconds
        return paused or self._deadline.remaining <= needed

    def _overspent(self) -> str | None:
        """Return why the job is to end here, which a slice may reach that lasts for hours."""
        if self.record.limits.max_compute_seconds is None:
            return None
        return self.record.spent(steps=self._steps, seconds=self._seconds).overspent()

    def _keep_house(self) -> None:
        """Store the state and renew lease and visibility, when the interval has passed."""
        pace, clock = self._runtime.pace, self._runtime.clock
        begun = clock()
        if begun - self._saved_at < pace.interval_seconds:
            return
        try:
            self._write(self._pending())
            pace.saw_save(seconds := clock() - begun)
            self._tell_saved(seconds)
            self._keep_hidden(pace.lease_seconds)
        except StoreUnavailable as error:
            self._tell_unsaved("goes on without a save", error)
        self._saved_at = clock()

    def _tell_saved(self, seconds: float) -> None:
        record = self.record
        if record.checkpoints and log.isEnabledFor(CHECKPOINT_SAVED.level):
            tell(
                log,
                CHECKPOINT_SAVED,
                job_id=record.job_id,
                kernel=record.kernel,
                slice=record.slice,
                progress=record.progress,
                seconds=seconds,
                bytes=len(record.checkpoints[0].state),
            )

    def _tell_unsaved(self, effect: str, error: StoreUnavailable) -> None:
        effect = f"job {self.record.job_id} {effect}"
        tell(log, STORE_UNAVAILABLE, effect=effect, error=str(error))

    def _end(self, ending: Move) -> Held:
        """Store the last state and the end of the slice in one write."""
        try:
            pending = self._pending()
            return self._write_at_last(self._closed(lambda record: ending(pending(record))))
        except (Unusable, StateTooLarge) as error:
            self._drop_state()
            pending, failing = self._pending(), self._failure(error)
            return self._write_at_last(self._closed(lambda record: failing(pending(record))))

    def _closed(self, ending: Move) -> Move:
        """Return `ending` with an entry in the job's history."""
        stopped_at, reason = self._runtime.jobs.clock(), self._deadline.reason

        def closed(record: Record) -> Record:
            moved = ending(record)
            return moved.noted(record, _why(moved, reason), stopped_at)

        return closed

    def _write_at_last(self, move: Move) -> Held:
        """Store the end of the slice, trying more than once."""
        for seconds in LAST_SAVE_WAITS_SECONDS:
            try:
                return self._write(move)
            except StoreUnavailable as error:
                self._tell_unsaved("tries its last save again", error)
                self._runtime.sleep(seconds)
        return self._write(move)

    def _pending(self) -> Move:
        """Return the move that stores what was done since the last save and renews the lease.

        Raises:
            Unusable: the state does not survive being stored.
            StateTooLarge: the state is over the limit.
        """
        steps, seconds = self._steps, self._seconds
        checkpoint = None
        if self._state is not None and steps != self.record.steps:
            checkpoint = self._checkpoint_of(self._state)
        pace = self._runtime.pace
        expires_at = self._runtime.jobs.clock() + pace.lease_seconds
        at_risk = pace.at_risk_seconds

        def pending(record: Record) -> Record:
            moved = record.spent(steps=steps, seconds=seconds)
            if checkpoint is not None:
                moved = moved.saved(checkpoint)
            return moved.renewed(expires_at=expires_at, at_risk_seconds=at_risk)

        return pending

    def _checkpoint_of(self, state: BaseModel) -> Checkpoint:
        runtime = self._runtime
        data = stored_state(self._kernel, state, max_bytes=runtime.max_state_bytes)
        try:
            progress = self.progress
        except Exception as error:
            raise Unusable(f"cannot tell its progress: {line(error)}") from error
        return Checkpoint(
            state=data,
            digest=digest_of(data),
            version=self._kernel.version,
            slice=self.record.slice,
            progress=progress,
            saved_at=runtime.jobs.clock(),
        )

    def _write(self, move: Move) -> Held:
        """Store what `move` makes of the record, as the holder of the lease."""
        self._held = self._runtime.jobs.advance(self._held, self._token, move)
        return self._held

    def _drop_state(self) -> None:
        """Forget what cannot be stored: the checkpoint before it stands."""
        self._state, self._steps = None, self.record.steps

    def _success(self, result: object) -> Move:
        try:
            value = stored_result(self._kernel, result)
        except Unusable as error:
            return self._failure(error)
        return lambda record: record.succeeded(value)

    def _failure(self, error: BaseException) -> Move:
        """Return the move for an error: fail at once if it can only repeat, else back off."""
        record, reason = self.record, located(error, type(self._kernel))
        tell(
            log,
            KERNEL_FAILED,
            job_id=record.job_id,
            kernel=record.kernel,
            slice=record.slice,
            error=reason,
            cause=error,
        )
        if isinstance(error, (StateTooLarge, NonRetryable)):
            return lambda record: record.failed(reason)
        now = self._runtime.jobs.clock()

        def errored(record: Record) -> Record:
            wait = FIRST_BACKOFF_SECONDS * 2.0 ** min(record.failures, 16)
            return record.errored(reason, not_before=now + min(wait, LONGEST_BACKOFF_SECONDS))

        return errored

    def _close(self, steps: Steps) -> None:
        try:
            steps.close()
        except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
            record, reason = self.record, line(error)
            tell(
                log,
                KERNEL_NOT_CLOSED,
                job_id=record.job_id,
                kernel=record.kernel,
                error=reason,
            )


def _why(ended: Record, reason: str | None) -> str:
    """Return why a slice ended, of which `ended` is left; `reason` is the deadline's."""
    if ended.status is not Status.QUEUED:
        return ended.error if ended.status is Status.FAILED and ended.error else str(ended.status)
    if ended.not_before:
        return f"error, to be tried again: {ended.error}"
    return reason or "deadline"  # None: the next step would not have fitted.
