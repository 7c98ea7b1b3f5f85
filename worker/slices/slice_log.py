"""What the log tells of a slice while it lasts: how far it is, or that it stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.telemetry.job_events import tell_overdue, tell_preparing, tell_running

if TYPE_CHECKING:
    from outlast.worker.slices.claimed_job import ClaimedJob

# A slice that is over sooner has one line only, that of its end.
PATIENCE_SECONDS = 1.0
EVERY_SECONDS = 60.0
# A step that takes longer is worth a warning, unless steps of this job are known to.
OVERDUE_SECONDS = 60.0


class SliceLog:
    """Tells how a slice gets on: once it has lasted for a second, and then once a minute."""

    def __init__(self, job: ClaimedJob) -> None:
        """Begin with the slice of `job`."""
        self._job = job
        self._begun_at = self._written_at = job.process.clock()
        self._due_at = self._begun_at + PATIENCE_SECONDS
        self._prepares_since: float | None = None
        self._told_of: float | None = None  # the step that is overdue, by its begin

    def look(self) -> None:
        """Tell what is due. It is called about once a second, on another thread than the kernel's.

        So it asks the kernel for nothing: progress is what is stored.
        """
        job, now = self._job, self._job.process.clock()
        prepares_since = job.prepares_since
        since = self._begun_at if prepares_since is None else prepares_since
        if prepares_since != self._prepares_since:
            self._prepares_since, self._due_at = prepares_since, since + PATIENCE_SECONDS
        if now >= self._due_at:
            self._due_at = now + EVERY_SECONDS
            if prepares_since is None:
                tell_running(job.record, now - since, job.process.jobs.clock())
            else:
                tell_preparing(job.record, now - since)
        self._look_at_step(now)

    def _look_at_step(self, now: float) -> None:
        """Warn, once a step, of one that takes long."""
        job, begun_at = self._job, self._job.stepped_at
        if job.is_writing:
            self._written_at = now  # A slow store is not the kernel's fault.
        seconds = now - max(begun_at, self._written_at)
        if seconds < max(OVERDUE_SECONDS, job.work.longest_step_seconds):
            return
        # What sends the messages of parts has no steps.
        has_steps = job.is_used and not job.record.is_divided
        if has_steps and begun_at != self._told_of:
            self._told_of = begun_at
            tell_overdue(job.record, seconds, is_isolated=job.process.isolates(job.kernel))
