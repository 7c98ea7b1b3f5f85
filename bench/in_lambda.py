"""What the measurements in AWS's emulator of Lambda have in common."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from outlast.worker.jobs.client import Client
from outlast.worker.settings import Settings
from tests.runtimes import emulator

TIMEOUTS_SECONDS = (3, 10)
ROOT = Path(__file__).parents[1]


def warm_up() -> None:
    """Compile, as an image does when it is built: no invocation is to compile anything."""
    warmup = "from outlast.kernel.registry import load; load('nth-prime').prepare(None)"
    subprocess.run([sys.executable, "-c", warmup], cwd=ROOT, check=True)


def client_and_env(store: str, queue: str, endpoint: str) -> tuple[Client, dict[str, str]]:
    """Return a client, and the environment of a function with the same store and queue."""
    # What makes clients here and in the function talk to the emulators.
    os.environ |= emulator.function_env({"AWS_ENDPOINT_URL": endpoint})
    env = {
        "OUTLAST_STORE": store,
        "OUTLAST_QUEUE": queue,
        "AWS_ENDPOINT_URL": endpoint,
        "PYTHONPATH": str(ROOT),
        "HOME": os.environ["HOME"],  # where numba keeps what is compiled
    }
    return Client(settings=Settings(store=store, queue=queue)), env
