"""outlast wait: until a job has its result."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from outlast.worker.cli.commands.result import show
from outlast.worker.cli.options import Debug, JobId, Json, TimeoutSeconds

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record


def wait(
    job_id: JobId,
    *,
    timeout_seconds: TimeoutSeconds = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Wait until a job is over and print its result.

    It only looks: the work is done by workers elsewhere. Stopping it does nothing to the job.
    A store that stops answering is asked again until it does.

    Examples:
        outlast wait million
        outlast wait million --timeout-seconds 600 && echo found

    Exit codes:
        0  the result is printed
        1  the job failed or was cancelled, there is no such job, or the store is at fault
        2  the id or a setting is wrong
        3  the time-out passed first
    """
    from outlast.worker.cli.logs import log_to
    from outlast.worker.jobs.client import Client

    log_to(_tell, "WARNING")
    found = Client().wait(job_id, timeout_seconds=timeout_seconds, watch=Changes())
    show(found, as_json=as_json)


class Changes:
    """Tells each change of a job's status once."""

    def __init__(self) -> None:
        self._told = ""

    def __call__(self, record: Record) -> None:
        """Look at the job as it is now."""
        if record.status.is_final or record.status == self._told:
            return
        self._told = record.status
        _tell(f"job {record.job_id} is {record.status}, {record.progress:.1%} done")


def _tell(line: str) -> None:
    print(f"outlast: {line}", file=sys.stderr, flush=True)
