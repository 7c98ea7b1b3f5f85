"""CPU time from the start of the process to a Lambda handler that is ready, beside others.

Run it where nothing but what `pip install .` brings is installed: redis imports OpenTelemetry, and
pydantic reads the entry points of every package there is.
"""

from __future__ import annotations

import os
import subprocess
import sys

from bench.table import print_table

RUNS = 15
HANDLERS = {
    "imports boto3 and redis": "import boto3, redis",
    "Outlast's": "import outlast.worker.lambda_handler",
    "imports boto3, redis and numba": "import boto3, redis, numba",
}
CPU_SECONDS = """
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""
ENV = {
    "OUTLAST_STORE": "redis://localhost:6379/0",
    "OUTLAST_QUEUE": "sqs://jobs",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_DEFAULT_REGION": "us-east-1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # as in the images
}


def main() -> None:
    """Print the least of several runs of each, taken in turn, which the load disturbs least."""
    times: dict[str, list[float]] = {name: [] for name in HANDLERS}
    for _ in range(RUNS):
        for name, code in HANDLERS.items():
            times[name].append(_cpu_seconds(code))
    least = {name: min(found) for name, found in times.items()}
    base = least["imports boto3 and redis"]
    print_table(
        f"CPU time until a handler is ready: the least of {RUNS} runs",
        ("a handler that", "ms", "ratio"),
        [(name, f"{t * 1e3:.0f}", f"{t / base:.2f}") for name, t in least.items()],
    )


def _cpu_seconds(code: str) -> float:
    ran = subprocess.run(
        [sys.executable, "-c", code + CPU_SECONDS],
        env=os.environ | ENV,
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(ran.stdout)


if __name__ == "__main__":
    main()
