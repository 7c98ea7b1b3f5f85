"""Workers of every kind on one store and one queue, at the same time."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.runtimes import emulator, lambda_api, runpod_jobs
from tests.runtimes.programs import repeating, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.runtimes.programs import Program
    from tests.runtimes.system import System

WORKER = [sys.executable, "-m", "outlast.worker.cli", "worker"]


@contextmanager
def everywhere(system: System) -> Iterator[list[Program]]:
    """Run a function of Lambda, a worker of RunPod and two plain ones, `one` and `two`."""
    with ExitStack() as stack:
        function = stack.enter_context(lambda_api.function(system.folder, system.env))
        server, runpod = stack.enter_context(runpod_jobs.worker(system.folder, system.env))
        workers = [stack.enter_context(_plain(system, name)) for name in ("one", "two")]
        source = system.source(function.invoke)
        stack.enter_context(repeating(lambda: source.turn(wait_seconds=1)))
        stack.enter_context(repeating(lambda: server.call({"drain": True})))
        yield [*workers, function.program, runpod]


def _plain(system: System, name: str) -> AbstractContextManager[Program]:
    """Run `outlast worker`, on a platform of that name."""
    env = emulator.function_env(system.env) | {"OUTLAST_PLATFORM": f"plain/{name}"}
    return running(WORKER, log=system.folder / f"{name}.log", env=env)
