"""One job, whose slices run in turn on every platform."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.status import Status
from tests.runtimes import emulator, lambda_api, runpod_jobs
from tests.runtimes.programs import clean, running

if TYPE_CHECKING:
    from tests.runtimes.system import System

STEPS = 400
SLICE_SECONDS = 1.0


def steps(system: System) -> int:
    """Return how far the job is, which must be further than before; fail if it is over."""
    record = system.record("j")
    assert record.status is Status.QUEUED, record
    return record.usage.steps


@pytest.mark.chaos
@pytest.mark.parametrize("store", ["redis", "s3"], indirect=True)
def test_a_job_goes_from_platform_to_platform(system: System) -> None:
    """A job begun on one platform could not be finished on another."""
    env = clean(system.env) | emulator.function_env(system.env)
    outlast = [sys.executable, "-c", "from outlast.worker.cli import main; main()"]
    system.client.submit("adder", job_id="j", steps=STEPS, step_seconds=0.02)
    seen = [0]

    with lambda_api.function(system.folder, system.env) as function:
        function.invoke({"position": 1})  # so that its start takes none of the time
        source = system.source(lambda event: function.invoke(event, timeout_seconds=2.0))
        assert source.turn() == {"batchItemFailures": []}
    seen.append(steps(system))

    with runpod_jobs.worker(system.folder, system.env) as (server, _):
        asked = {"drain": True, "max_seconds": SLICE_SECONDS}
        assert server.call(asked)["output"] == {"drained": False, "jobs": ["j"]}
    seen.append(steps(system))

    work = [*outlast, "worker", "--slice-seconds", str(SLICE_SECONDS), "--max-slices", "1"]
    subprocess.run(work, env=env, check=True)
    seen.append(steps(system))

    with emulator.function(system.folder, system.env, timeout_seconds=3) as function:
        assert function.invoke({"job_id": "j", "max_seconds": 1.5})["status"] == "queued"
    seen.append(steps(system))

    params = [f"steps={STEPS}", "step_seconds=0.02"]
    run = [*outlast, "run", "adder", *params, "--job-id", "j", "--slice-seconds", "0.5"]
    with running(run, log=system.folder / "run.log", env=env) as program:
        program.wait_until(lambda: system.record("j").usage.steps > seen[-1])
        os.kill(program.process.pid, signal.SIGTERM)
        program.process.wait(60)
    seen.append(steps(system))
    assert seen == sorted(set(seen)), "each of them advanced the job"

    subprocess.run(run, env=env, check=True)
    record = system.record("j")
    assert record.result == {"total": STEPS * (STEPS + 1) // 2}
    assert record.usage.steps == STEPS  # none was done twice
