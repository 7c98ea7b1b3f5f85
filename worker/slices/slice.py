"""One slice: resume the kernel, advance it until the deadline, save, release."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import LeaseLost, StateTooLarge, StoreUnavailable
from outlast.kernel.contract import start
from outlast.kernel.parts import class_of
from outlast.worker.slices.arrays import NoPlace
from outlast.worker.slices.failure import failure
from outlast.worker.slices.held import Busy, Held
from outlast.worker.slices.kernel_errors import described, line
from outlast.worker.slices.kernel_output import (
    Unusable,
    restored_state,
    stored_migration,
    stored_result,
)
from outlast.worker.slices.loading import tell_unprepared
from outlast.worker.slices.protocol import Ending, Failed, Interrupted, Succeeded
from outlast.worker.slices.scratch import Scratch
from outlast.worker.slices.timing import SAFETY
from outlast.worker.telemetry.events import KERNEL_NOT_CLOSED, tell
from outlast.worker.telemetry.job_events import tell_save

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pydantic import BaseModel

    from outlast.checkpoint.record import Record
    from outlast.kernel.bulk import Stored
    from outlast.worker.slices.claimed_job import ClaimedJob
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.held import Yielded
    from outlast.worker.slices.timing import Budget

    Steps = Generator[Yielded | Busy, None, BaseModel]

log = logging.getLogger("outlast.slice")

# After a save that failed the kernel goes on for so many times as long as that took, unless the
# heartbeat finds that the store is back.
REST_FACTOR = 4.0
# How long the signals of one stop may be apart that go to several processes.
SIGNAL_TURNS, SIGNAL_TURN_SECONDS = 5, 0.02


class Slice:
    """The run of a claimed job's kernel on this worker, from its checkpoint to its last save."""

    def __init__(self, job: ClaimedJob, budget: Budget, deadline: Deadline) -> None:
        """Advance `job` until `deadline`, which is the end of the budget without its reserve."""
        self.job = job
        self._process = job.process
        self._budget = budget
        self._deadline = deadline
        self._steps_before = job.work.steps
        self._step_seconds = 0.0  # of the step that has not ended yet
        self._scratch = Scratch()
        self._began_at = self._saved_at = self.stopped_at = job.process.clock()
        self._rests_until = self._began_at

    def run(self) -> Record:
        """Advance the job until it ends or the deadline; return it as it was left.

        Raises:
            LeaseLost: another worker has the job, or it was cancelled; nothing was written since.
            BrokenWorker: the kernel did not come to its first safe point, through no fault of the
                job's: it is to be given back.
            StoreUnavailable: the last save was not possible; the checkpoint before it stands.
        """
        job = self.job
        if self._process.blobs is None and job.may_send:
            return job.end(Failed(line(NoPlace())))
        try:
            job.begin()
            steps = self._start(self._restored())
        except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
            reason = described(error, class_of(job.kernel))
            if job.record.checkpoints:
                reason = f"cannot go on from its checkpoint: {reason}"
            return job.end(Failed(reason))
        try:
            ending = self._advance(steps)
            self.stopped_at = self._process.clock()
            return self._end(ending)
        finally:
            self._close(steps)

    def pass_on(self) -> Record:
        """End the slice without a step, for the next one; return the job as it was left.

        Raises:
            LeaseLost, StoreUnavailable: as `run`.
        """
        return self.job.end(Interrupted(self._deadline.reason or "deadline"))

    def _restored(self) -> Stored | None:
        """Return the state to go on from, migrated from an older version."""
        kernel, restored = self.job.kernel, self.job.restored
        # Else its arrays would be in memory for as long as the kernel runs.
        self.job.restored = None
        if restored is None:
            return None
        stored, version = restored
        if version != kernel.version:
            migrated = kernel.migrate(json.loads(stored.text), version)
            stored = stored._replace(text=stored_migration(migrated, version))
        return stored

    @property
    def _is_isolated(self) -> bool:
        return self._process.isolates(self.job.kernel)

    def _start(self, stored: Stored | None) -> Steps:
        """Return the kernel at its start, in a child process if it or the worker wants that."""
        kernel = self.job.kernel
        resources = replace(
            self._process.resources,
            job_id=self.job.record.job_id,
            seconds_left=lambda: self._deadline.remaining,
            make_scratch=self._scratch,
        )
        state = stored and restored_state(kernel, stored)
        if not self._is_isolated:
            return start(kernel, self.job.params, state, resources)
        from outlast.worker.slices.isolation.parent import isolated  # most kernels are not

        begin = [self.job.stored_params, *([stored] if stored else [])]
        return isolated(kernel, begin, resources)

    def _advance(self, steps: Steps) -> Ending:
        """Run steps until there is a reason to stop; return how the slice ends."""
        job, clock = self.job, self._process.clock
        while True:
            begun = clock()
            try:
                self._count_step(next(steps), clock() - begun)
            except StopIteration as end:
                job.work.seconds += clock() - begun
                return self._success(end.value)
            except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
                job.work.seconds += clock() - begun
                return self._failure_in_step(error)
            # A slice that lasts for hours may reach the ceiling.
            if reason := job.record.overspent(job.work.seconds):
                self._cut_off()
                return Failed(reason)
            try:
                # A save takes its time: the next step may not fit any more.
                if self._must_stop() or (self._save_if_due() and self._must_stop()):
                    return self._interrupted()
            except (Unusable, StateTooLarge) as error:
                job.drop_state()
                return self._failure(error)

    def _count_step(self, state: Yielded | Busy, seconds: float) -> None:
        """Account for one step, or for the part of it that has passed."""
        job = self.job
        if not isinstance(state, (job.kernel.State, Held, Busy)):
            raise Unusable(f"yielded {type(state).__name__} instead of its State")
        job.work.seconds += seconds
        self._step_seconds += seconds
        if isinstance(state, Busy):
            return
        if job.work.state is None:
            self._has_run()
        job.advanced(state, self._step_seconds)
        self._step_seconds = 0.0
        if self._process.watch is not None:
            self._process.watch(job)

    def _has_run(self) -> None:
        """Note that the kernel runs here, whatever it raised as it prepared."""
        self._process.health.proved(self.job.record.kernel)
        tell_unprepared(self.job)

    def _must_stop(self) -> bool:
        """Whether the deadline has come, would pass before the next step ends, or a pause has.

        Raises:
            LeaseLost: the job is another worker's, or was cancelled.
        """
        job, left = self.job, self._deadline.remaining
        if job.is_lost:
            raise LeaseLost(f"job {job.record.job_id} is no longer ours")
        if not left or job.is_paused:
            return True
        # An isolated step that has begun may use all the time there is: it can be cut off.
        step_seconds = 0.0 if self._step_seconds else job.work.next_step_seconds
        if self._process.clock() - self._began_at < self._budget.fair_seconds:
            # What was learned may be wrong, where no step of this slice has taken so long.
            step_seconds = min(step_seconds, SAFETY * job.work.slowest_seconds)
        return left <= step_seconds + self._more_to_keep_back()

    def _interrupted(self) -> Ending:
        # Without a reason of the deadline's or a person's, the next step would not have fitted.
        reason = self._deadline.reason or ("paused" if self.job.is_paused else "deadline")
        if self._step_seconds and self.job.work.steps == self._steps_before:
            reason += f": its step did not end in {self._step_seconds:.1f} s, and begins again"
        self._cut_off()
        return Interrupted(reason)

    def _cut_off(self) -> None:
        """Let go of a step that has not ended, and of a state that is in its process with it."""
        if self._step_seconds:
            self.job.work.saw_step(self._step_seconds)
            if isinstance(self.job.work.state, Held):
                self.job.drop_state()

    def _save_if_due(self) -> bool:
        """Store the state and renew lease and visibility, and return whether it was time for it."""
        job, clock = self.job, self._process.clock
        if job.arrays.under_way:
            if not job.arrays.is_done:
                job.arrays.look()
                return False
            self._attempt(job.finish_save)
            return True
        if self._step_seconds and isinstance(job.work.state, Held):
            return False  # Its process is in the middle of a step.
        if not (self._is_save_due() and self._has_time_to_send()):
            return False
        self._saved_at = clock()
        self._attempt(job.save)
        return True

    def _is_save_due(self) -> bool:
        job, timing = self.job, self._process.timing
        if self._process.outages.is_store_away and self._process.clock() < self._rests_until:
            return False
        if job.bulk_bytes and not timing.knows_sending:
            return True  # Whether the last one fits depends on how long one takes.
        interval = timing.interval_seconds(job.state_bytes, job.bulk_bytes)
        return self._process.clock() - self._saved_at >= interval

    def _has_time_to_send(self) -> bool:
        """Whether a save can end before the last one begins, which would send it all again."""
        seconds = self._process.timing.sending_seconds(self.job.bulk_bytes)
        return seconds < self._deadline.remaining - self._more_to_keep_back()

    def _more_to_keep_back(self) -> float:
        """Return how much longer the end of the slice may take than was known at its begin."""
        job, timing = self.job, self._process.timing
        reserve = timing.budget(self._budget.seconds, job.state_bytes, job.bulk_bytes).reserve
        return max(reserve - self._budget.reserve, 0.0)

    def _attempt(self, save: Callable[[], bool]) -> None:
        """Save, or go on without; tell of a save that is done, with the time since it began."""
        begun = self._process.clock()
        try:
            if save():
                tell_save(self.job.record, self._process.clock() - self._saved_at)
        except StoreUnavailable as error:
            self.job.tell_unsaved("goes on without a save", error)
            # Each try may take many seconds, in which the kernel stands still.
            now = self._process.clock()
            self._rests_until = now + REST_FACTOR * (now - begun)

    def _end(self, ending: Ending) -> Record:
        try:
            return self.job.end(ending)
        except (Unusable, StateTooLarge) as error:
            self.job.drop_state()
            return self.job.end(self._failure(error))

    def _success(self, result: object) -> Ending:
        try:
            ending = Succeeded(*stored_result(self.job.kernel, result))
        except Unusable as error:
            return self._failure_in_step(error)
        self._has_run()
        if self.job.has_arrays:
            self.job.work.state = None  # Its arrays may have changed since.
        return ending

    def _failure_in_step(self, error: BaseException) -> Ending:
        """Do as `_failure`, without a state that the step may have changed before it failed.

        No error counts while a stop signal ends this process: the signal may have gone to a process
        that the kernel has started, too. One that has another cause comes again.
        """
        # A child process has a copy of its own, but for arrays, which no model freezes either.
        is_frozen = self._is_isolated or self.job.kernel.State.model_config.get("frozen")
        if self.job.has_arrays or not is_frozen:
            self.job.drop_state()
        if self._is_signalled_soon():
            reason = described(error, class_of(self.job.kernel))
            return Interrupted(f"{self._deadline.reason}: the step was cut off by {reason}")
        return self._failure(error)

    def _is_signalled_soon(self) -> bool:
        """Whether a stop signal has come, or comes in a moment: another process may be first."""
        for _ in range(SIGNAL_TURNS):
            if self._deadline.is_signalled or not self._deadline.remaining:
                break
            self._process.sleep(SIGNAL_TURN_SECONDS)
        return self._deadline.is_signalled

    def _failure(self, error: BaseException) -> Ending:
        has_begun = self.job.work.steps > self._steps_before
        return failure(self.job, error, has_begun=has_begun)

    def _close(self, steps: Steps) -> None:
        try:
            steps.close()
        except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
            record, reason = self.job.record, line(error)
            tell(log, KERNEL_NOT_CLOSED, job_id=record.job_id, kernel=record.kernel, error=reason)
        self._scratch.remove(elsewhere=self._is_isolated)
