"""Runs the jobs once through one system: `python -m bench.small_jobs.trial rq` prints the seconds.

All jobs are on the queue before the worker starts. The time runs from the beginning of the first
job to the moment the last result can be read, so that no system's start counts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.small_jobs.job import FOLDER, JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seldom enough to cost the worker next to nothing, often enough to be off by a hundredth at most.
POLL_SECONDS = 0.01
LIMIT_SECONDS = 120.0


def main(name: str) -> None:
    """Print the seconds that system `name` takes."""
    system = import_module(f"bench.small_jobs.with_{name}")
    ids = system.submit(range(JOBS))
    log = Path(FOLDER) / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            system.WORKER, stdout=output, stderr=output, start_new_session=True
        )
        try:
            print(seconds_until_done(system, ids))
        except TimeoutError:
            sys.exit(f"{name} took over {LIMIT_SECONDS:.0f} s:\n{log.read_text()[-2000:]}")
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def seconds_until_done(system: Any, ids: Sequence[str]) -> float:
    """Return the seconds from the beginning of the first job until all have their right result.

    Raises:
        TimeoutError: a result did not come.
    """
    called_at = ended_at = time.time()
    begun_at = []
    # From the last one, as queues keep their order: while it is waited for one cheap question is
    # asked of the store, and once it is there so are, almost always, all the others.
    for number, job_id in reversed(list(enumerate(ids))):
        while (found := system.result(job_id)) is None:
            time.sleep(POLL_SECONDS)
            ended_at = time.time()
            if ended_at - called_at > LIMIT_SECONDS:
                raise TimeoutError
        assert found["square"] == number * number
        begun_at.append(found["begun"])
    return ended_at - min(begun_at)


if __name__ == "__main__":
    main(sys.argv[1])
