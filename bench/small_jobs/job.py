"""The job that every system runs, and where it finds its servers. Nothing but the standard library.

The systems are installed apart from the project, so this is imported where Outlast is not.
"""

from __future__ import annotations

import os
import time

JOBS = 1000

# Set by `bench.peers` for each trial: a server and a folder that nobody has used before.
REDIS_URL = os.environ.get("SMALL_JOBS_REDIS_URL", "")
QUEUE_URL = os.environ.get("SMALL_JOBS_QUEUE_URL", "")  # of a queue on SQS
FOLDER = os.environ.get("SMALL_JOBS_FOLDER", "")


def square(number: int) -> dict[str, float]:
    """Return the square of `number`, and when the work on it began, in seconds since the epoch."""
    return {"begun": time.time(), "square": number * number}
