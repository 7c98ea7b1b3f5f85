"""One slice: resume the kernel, advance it until the deadline, save, release."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CorruptCheckpoint, StateTooLarge, StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel import NonRetryable
from outlast.kernel.contract import start
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.holding import Holding
from outlast.worker.slices.isolation.parent import Busy, isolated
from outlast.worker.slices.kernel_errors import located
from outlast.worker.slices.kernel_output import (
    Unusable,
    line,
    restored_state,
    stored_migration,
    stored_result,
)
from outlast.worker.telemetry.events import (
    CHECKPOINT_SAVED,
    KERNEL_FAILED,
    KERNEL_NOT_CLOSED,
    is_wanted,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pydantic import BaseModel

    from outlast.checkpoint.jobs import Held
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.holding import Move
    from outlast.worker.slices.process import AnyKernel, Runtime

    Steps = Generator[BaseModel | Busy, None, BaseModel]

log = logging.getLogger("outlast.slice")

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0


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
        self._runtime = runtime
        self.job = Holding(runtime, held, kernel)
        self._kernel = kernel
        self._deadline = deadline
        self._keep_hidden = keep_hidden
        self._step_seconds = 0.0  # of the step that has not ended yet
        self._saved_at = self.stopped_at = runtime.clock()

    def run(self) -> Held:
        """Advance the job until it ends or the deadline; return it as it was left.

        Raises:
            LeaseLost: another worker has the job, or it was cancelled; nothing was written since.
            StoreUnavailable: the last save was not possible; the checkpoint before it stands.
        """
        job = self.job
        try:
            job.params = self._kernel.Params.model_validate_json(job.record.params_json)
            state = self._restore()
            steps = self._start(state)
        except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
            reason = located(error, type(self._kernel))
            if job.record.checkpoints:
                reason = f"cannot go on from its checkpoint: {reason}"
            return job.write(self._closed(lambda record: record.failed(reason)))
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
        return self.job.write_at_last(self._closed(lambda record: record.released()))

    def _restore(self) -> BaseModel | None:
        """Return the state of the newest intact checkpoint, migrated from an older version."""
        checkpoints = self.job.record.checkpoints
        if not checkpoints:
            return None
        # They were verified at the claim, and may have been read again since.
        checkpoint = next((c for c in checkpoints if c.is_intact), None)
        if checkpoint is None:
            raise CorruptCheckpoint("none of its checkpoints has its checksum")
        state = checkpoint.state
        if checkpoint.version != self._kernel.version:
            migrated = self._kernel.migrate(json.loads(state), checkpoint.version)
            state = stored_migration(migrated, checkpoint.version)
        return restored_state(self._kernel, state)

    @property
    def _is_isolated(self) -> bool:
        return self._runtime.isolate or self._kernel.may_not_return

    def _start(self, state: BaseModel | None) -> Steps:
        """Return the kernel at its start, in a child process if it or the worker wants that."""
        params, resources = self.job.params, self._runtime.resources
        if self._is_isolated:
            return isolated(self._kernel, params, state, resources)
        return start(self._kernel, params, state, resources)

    def _advance(self, steps: Steps) -> Move:
        """Run steps until there is a reason to stop; return the move that ends the slice."""
        clock = self._runtime.clock
        while True:
            begun = clock()
            try:
                self._took(next(steps), clock() - begun)
            except StopIteration as end:
                self.job.seconds += clock() - begun
                return self._success(end.value)
            except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
                self.job.seconds += clock() - begun
                return self._failure_in_step(error)
            if reason := self.job.overspent():  # which a slice may reach that lasts for hours
                return partial(Record.failed, error=reason)
            if self._must_stop():
                return lambda record: record.released()
            try:
                self._keep_house()
            except (Unusable, StateTooLarge) as error:
                self.job.drop_state()
                return self._failure(error)

    def _took(self, state: BaseModel | Busy, seconds: float) -> None:
        """Account for one step, or for the part of it that has passed."""
        if not isinstance(state, (self._kernel.State, Busy)):
            raise Unusable(f"yielded {type(state).__name__} instead of its State")
        self.job.seconds += seconds
        self._step_seconds += seconds
        if isinstance(state, Busy):
            return
        # The first step of a slice also rebuilds tables: it says nothing about the next.
        if self.job.state is not None:
            self._runtime.pace.saw_step(self._step_seconds)
        self._step_seconds = 0.0
        self.job.advanced(state)
        if self._runtime.watch is not None:
            self._runtime.watch(self.job)

    def _must_stop(self) -> bool:
        """Whether the deadline has come, would pass before the next step ends, or a pause has."""
        paused = self.job.record.status is Status.PAUSED
        # An isolated step that has begun may use all the time there is: it can be cut off.
        needed = 0.0 if self._step_seconds else self._runtime.pace.next_step_seconds
        return paused or self._deadline.remaining <= needed

    def _keep_house(self) -> None:
        """Store the state and renew lease and visibility, when the interval has passed."""
        pace, clock = self._runtime.pace, self._runtime.clock
        begun = clock()
        if begun - self._saved_at < pace.interval_seconds:
            return
        try:
            self.job.write(self.job.pending())
            pace.saw_save(seconds := clock() - begun)
            self._tell_saved(seconds)
            self._keep_hidden(pace.lease_seconds)
        except StoreUnavailable as error:
            self.job.tell_unsaved("goes on without a save", error)
        self._saved_at = clock()

    def _tell_saved(self, seconds: float) -> None:
        record = self.job.record
        if record.checkpoints and is_wanted(log, CHECKPOINT_SAVED):
            tell(
                log,
                CHECKPOINT_SAVED,
                job_id=record.job_id,
                kernel=record.kernel,
                slice=record.slice_number,
                progress=record.progress,
                seconds=seconds,
                bytes=len(record.checkpoints[0].state),
            )

    def _end(self, ending: Move) -> Held:
        """Store the last state and the end of the slice in one write."""
        job = self.job
        try:
            pending = job.pending()
            return job.write_at_last(self._closed(lambda record: ending(pending(record))))
        except (Unusable, StateTooLarge) as error:
            job.drop_state()
            pending, failing = job.pending(), self._failure(error)
            return job.write_at_last(self._closed(lambda record: failing(pending(record))))

    def _closed(self, ending: Move) -> Move:
        """Return `ending` with an entry in the job's history."""
        stopped_at, reason = self._runtime.jobs.clock(), self._deadline.reason

        def closed(record: Record) -> Record:
            moved = ending(record)
            return moved.after_slice(record, _why(moved, reason), stopped_at)

        return closed

    def _success(self, result: object) -> Move:
        try:
            value = stored_result(self._kernel, result)
        except Unusable as error:
            return self._failure_in_step(error)
        return lambda record: record.succeeded(value)

    def _failure_in_step(self, error: BaseException) -> Move:
        """Do as `_failure`, without a state that the step may have changed before it failed."""
        # A child process has a copy of its own.
        if not (self._is_isolated or self._kernel.State.model_config.get("frozen")):
            self.job.drop_state()
        return self._failure(error)

    def _failure(self, error: BaseException) -> Move:
        """Return the move for an error: fail at once if it can only repeat, else back off."""
        record, reason = self.job.record, located(error, type(self._kernel))
        tell(
            log,
            KERNEL_FAILED,
            job_id=record.job_id,
            kernel=record.kernel,
            slice=record.slice_number,
            error=reason,
            cause=error,
        )
        if isinstance(error, (StateTooLarge, NonRetryable)):
            return lambda record: record.failed(reason)
        now = self._runtime.jobs.clock()

        def errored(record: Record) -> Record:
            wait = backoff(
                record.guards.failures, first=FIRST_BACKOFF_SECONDS, longest=LONGEST_BACKOFF_SECONDS
            )
            return record.errored(reason, not_before=now + wait)

        return errored

    def _close(self, steps: Steps) -> None:
        try:
            steps.close()
        except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
            record, reason = self.job.record, line(error)
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
