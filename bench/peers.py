"""1,000 trivial jobs through Outlast and through the task queues that people use, in one run.

Every system has one worker process, keeps each result, and is set up as in production: a job is
acknowledged after it has run, so that one whose worker dies runs again (Huey cannot do that).
Whatever uses Redis uses the same real server, Valkey, with nothing written to disk; SQS is
ministack, over HTTP; what is on SQLite waits for the disk. What else each is set to stands in its
file in `bench/small_jobs`. The systems take turns, each on servers and files nobody used before.

The others are installed once, into a virtual environment in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import platformdirs

from bench.small_jobs.job import JOBS
from bench.table import print_table
from tests import servers
from tests.runtimes.event_source import make_queue

ROUNDS = 3
ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "bench" / "peers-requirements.txt"


class System(NamedTuple):
    """A system: the file that runs it, and for Outlast where it keeps jobs and messages."""

    file: str
    store: str = ""
    queue: str = ""


SYSTEMS = {
    "Huey, Redis (no late acknowledgement)": System("huey"),
    "Celery, Redis": System("celery"),
    "Dramatiq, Redis": System("dramatiq"),
    "RQ, Redis": System("rq"),
    "taskiq, Redis": System("taskiq"),
    "DBOS, SQLite": System("dbos"),
    "Celery, SQS and Redis": System("celery_sqs", queue="sqs"),
    "Outlast, Redis": System("outlast", store="redis", queue="redis"),
    "Outlast, SQLite": System("outlast", store="sqlite", queue="sqlite"),
    "Outlast, Redis and SQS": System("outlast", store="redis", queue="sqs"),
}


def main() -> None:
    """Print the jobs a second of each."""
    peers = installed()
    rates: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    for _ in range(ROUNDS):
        for name, system in SYSTEMS.items():
            python = Path(sys.executable) if system.store else peers
            rates[name].append(JOBS / trial_seconds(system, python))
    print_table(
        f"{JOBS:,} trivial jobs, one worker process: median of {ROUNDS} rounds",
        ("", "jobs a second", "ms a job", "least", "most"),
        [_row(name, found) for name, found in rates.items()],
    )


def installed() -> Path:
    """Return the Python of a virtual environment that has what is in `REQUIREMENTS`."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = Path(platformdirs.user_cache_path("outlast")) / f"bench-peers-{wanted}"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", REQUIREMENTS], check=True)
        done.touch()
    return python


def trial_seconds(system: System, python: Path) -> float:
    """Return the seconds of one trial of `system`, run by `python`, with servers of its own."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        redis_url = stack.enter_context(servers.valkey()).url
        env = os.environ | {"SMALL_JOBS_REDIS_URL": redis_url, "SMALL_JOBS_FOLDER": folder}
        places = {"redis": redis_url, "sqlite": f"sqlite:///{folder}/outlast.db"}
        if system.queue == "sqs":
            endpoint = stack.enter_context(servers.ministack()).url
            places["sqs"] = make_queue(endpoint)
            env |= {
                "SMALL_JOBS_QUEUE_URL": places["sqs"],
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": servers.ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": servers.SECRET_KEY,
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        if system.store:
            env |= {"OUTLAST_STORE": places[system.store], "OUTLAST_QUEUE": places[system.queue]}
        trial = [python, "-m", "bench.small_jobs.trial", system.file]
        ran = subprocess.run(trial, cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True)
        return float(ran.stdout)


def _row(name: str, rates: list[float]) -> tuple[str, ...]:
    rate = statistics.median(rates)
    return (name, f"{rate:.0f}", f"{1e3 / rate:.2f}", f"{min(rates):.0f}", f"{max(rates):.0f}")


if __name__ == "__main__":
    main()
