"""CPU time from the start of a process to a Lambda handler that is ready, and that of a command.

Run it where nothing but what `pip install . boto3 numba` brings is installed: redis imports
OpenTelemetry, and pydantic reads the entry points of every package there is.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RUNS = 15
HANDLERS = {
    "imports boto3 and redis": "import boto3, redis",
    "is Outlast's": "import outlast.worker.lambda_handler",
    "imports boto3, redis and numba": "import boto3, redis, numba",
}
COMMANDS = ("--version", "--help", "status a", "list", "submit lucas-lehmer exponent=127")
ENV = {
    "OUTLAST_STORE": "redis://localhost:6379/0",
    "OUTLAST_QUEUE": "sqs://jobs",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_DEFAULT_REGION": "us-east-1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # as in the images
    "PYTHONDONTWRITEBYTECODE": "",  # in them all is compiled, as it is here from the second run on
}
CPU_SECONDS = """
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


def main() -> None:
    """Print both tables."""
    print_table(
        f"CPU time until a handler is ready: the least of {RUNS} runs",
        ("a handler that", "ms", "ratio"),
        _rows(HANDLERS, lambda name: _until_ready(HANDLERS[name])),
    )
    with tempfile.TemporaryDirectory() as folder:
        env = {"OUTLAST_STORE": f"sqlite:///{Path(folder) / 'jobs.db'}"}
        _of_command("submit lucas-lehmer exponent=127 --job-id a", env)
        rows = _rows(COMMANDS, lambda words: _of_command(words, env))
    print_table(
        f"CPU time of a command: the least of {RUNS} runs", ("outlast", "ms", "ratio"), rows
    )


def _rows(names: Iterable[str], seconds_of: Callable[[str], float]) -> list[tuple[str, str, str]]:
    """Return the least of several runs of each, taken in turn, which the load disturbs least."""
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in times:
        seconds_of(name)  # The first run compiles.
    for _ in range(RUNS):
        for name, found in times.items():
            found.append(seconds_of(name))
    least = {name: min(found) for name, found in times.items()}
    base = next(iter(least.values()))
    return [(name, f"{t * 1e3:.0f}", f"{t / base:.2f}") for name, t in least.items()]


def _until_ready(code: str) -> float:
    """Return the CPU seconds until `code` has run; a function's process does not end then."""
    ran = subprocess.run(
        [sys.executable, "-c", code + CPU_SECONDS],
        env=os.environ | ENV,
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(ran.stdout)


def _of_command(words: str, env: dict[str, str]) -> float:
    """Return the CPU seconds of a command's whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "outlast", *words.split()],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""} | env,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
