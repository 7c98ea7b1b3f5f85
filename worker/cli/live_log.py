"""The log of a worker at a terminal: lines in colour, and a bar that moves with the job at work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from outlast.worker.cli.logs import Lines, level_of, log_by, log_to_stderr, with_time
from outlast.worker.cli.progress import ProgressBar
from outlast.worker.cli.streams import is_terminal
from outlast.worker.telemetry.kernel_lines import hear_kernels
from outlast.worker.telemetry.rate import pace_of, rate_at

if TYPE_CHECKING:
    import logging

    from outlast.worker.settings import Settings
    from outlast.worker.slices.worker_process import RunningJob

STYLES = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}
# What the bar shows instead of a line.
SHOWN_BY_BAR = {"slice_running", "slice_ended"}
# After these no job is at work.
AT_REST = {"job_succeeded", "job_failed", "worker_idle", "worker_stopped"}


class LiveLog(Lines):
    """Prints each record as a line in its colour, above the bar; a context that removes the bar.

    With NO_COLOR the lines have no colours.
    """

    def __init__(self, *, debug: bool) -> None:
        self._bar = ProgressBar()
        self._bar.hide()
        super().__init__(self._bar.say, debug=debug)
        self._seen = ""

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    def watch(self, job: RunningJob) -> None:
        """Move the bar now and then, where this is called after each step of a job."""
        if not self._bar.is_due:
            return
        record = job.record
        whose = _whose(record.job_id, record.node.number if record.node else None)
        self._seen, share = whose, job.progress
        rate = rate_at(share, job.per_second(share))
        words = f"{rate}, {whose} slice {record.slice_number}"
        self._bar.show(record.progress_if_known(share), words)

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, or move the bar by it."""
        event = getattr(record, "event", None)
        if event == "slice_running":
            self._show_stored(vars(record))
        if event in AT_REST:
            self._bar.hide()
            self._seen = ""
        if event not in SHOWN_BY_BAR or getattr(record, "outcome", None) == "error":
            self._bar.say(self.line_of(record), STYLES.get(record.levelname))

    def _show_stored(self, fields: dict[str, Any]) -> None:
        """Show what is stored of a job at work, unless `watch` knows better."""
        if (whose := _whose(fields["job_id"], fields["part"])) != self._seen:
            pace = pace_of(fields["per_second"], fields["seconds_left"])
            self._bar.show(fields["progress"], f"{pace}, {whose} slice {fields['slice']}")


def _whose(job_id: str, part: int | None) -> str:
    return f"job {job_id}" if part is None else f"job {job_id} part {part}"


def log_of_worker(settings: Settings, *, debug: bool) -> LiveLog | None:
    """Set up a worker's log on standard error; return it if that is a terminal for people.

    A log that is turned down has no bar either.
    """
    level = level_of(settings, otherwise="INFO")
    is_live = settings.log_format == "text" and level in {"DEBUG", "INFO"}
    if not (is_live and is_terminal(sys.stderr)):
        log_to_stderr(level, log_format=settings.log_format, debug=debug, kernels=True)
        return None
    live_log = LiveLog(debug=debug)
    live_log.setFormatter(with_time())
    log_by(live_log, level)
    hear_kernels([live_log], level)
    return live_log
