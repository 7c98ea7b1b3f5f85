"""DBOS on SQLite: a queue of workflows, looked at every 10 ms in place of the usual second.

The queue sets no limit, as is DBOS's default: each look takes all there is, and threads of the one
process work on it.
"""

from __future__ import annotations

import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from dbos import DBOS, DBOSClient

from bench.small_jobs.job import FOLDER, square

if TYPE_CHECKING:
    from collections.abc import Iterable

WORKER = [sys.executable, "-m", __name__]
DATABASE = f"sqlite:///{FOLDER}/dbos.sqlite"


@cache
def _client() -> DBOSClient:
    return DBOSClient(system_database_url=DATABASE)


def submit(numbers: Iterable[int]) -> list[str]:
    """Put a job for each number on the queue; return their ids."""
    DBOS.migrate(DATABASE)
    client = _client()
    client.register_queue("jobs", polling_interval_sec=0.01)
    options = {"queue_name": "jobs", "workflow_name": "square"}
    return [client.enqueue(options, number).workflow_id for number in numbers]


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    handle = _client().retrieve_workflow(job_id)
    return handle.get_result() if handle.get_status().status == "SUCCESS" else None


if __name__ == "__main__":
    DBOS.workflow(name="square")(square)
    DBOS(config={"name": "small-jobs", "system_database_url": DATABASE, "run_admin_server": False})
    DBOS.launch()
    threading.Event().wait()
