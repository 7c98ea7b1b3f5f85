"""One job, whose parts run on several platforms: on each alone, and on all at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kernels import expected
from tests.runtimes import emulator, runpod_jobs
from tests.runtimes.everywhere import everywhere

if TYPE_CHECKING:
    from tests.runtimes.system import System

STEPS = 60


def params(system: System, *, workers: int = 1) -> dict[str, Any]:
    """Return the parameters of a job on which so many processes work at the same time."""
    meeting = system.folder / "meeting"
    meeting.mkdir()
    return {"steps": STEPS, "step_seconds": 0.01, "workers": workers, "meeting": str(meeting)}


def check(system: System) -> dict[str, int]:
    """Check how the job has ended; return how many slices of its parts each platform ran."""
    record = system.record("j")
    assert record.result == expected(STEPS)
    assert record.usage.steps == STEPS  # none was done twice
    assert [*system.client.jobs.nodes.job_ids()] == [], "its parts are removed"
    return {platform: usage.slices for platform, usage in record.usage.platforms.items()}


@pytest.mark.parametrize("store", ["redis", "s3"], indirect=True)
def test_lambda_works_on_the_parts_of_a_job(system: System) -> None:
    """Its function would refuse their messages, or a stack with Redis take no such job."""
    with emulator.function(system.folder, system.env, timeout_seconds=30) as function:
        asked = {"kernel": "sharer", "params": params(system), "job_id": "j", "parallel": 1}
        assert function.invoke(asked)["progress"] == 0
        source = system.source(function.invoke)
        while not system.record("j").status.is_final:
            assert source.turn() == {"batchItemFailures": []}
        assert function.kills == 0
        assert source.turn(wait_seconds=0) is None, "no message is left"
    (slices,) = check(system).values()
    assert slices > 10


def test_runpod_works_on_the_parts_of_a_job(system: System) -> None:
    """A drain would refuse their messages, and end with the job where it was."""
    with runpod_jobs.worker(system.folder, system.env) as (server, program):
        asked = {"kernel": "sharer", "params": params(system), "job_id": "j", "parallel": 1}
        assert server.call(asked)["output"]["progress"] == 0
        assert server.call({"drain": True})["output"] == {"drained": True, "jobs": ["j"]}
        program.wait_until(lambda: bool(server.progress))
        assert {"job_id", "part", "progress"} == server.progress[0].keys()
    assert check(system).keys() == {"runpod"}


@pytest.mark.parametrize("store", ["redis", "s3"], indirect=True)
def test_one_job_on_all_platforms_at_the_same_time(system: System) -> None:
    """More workers would not make a job end sooner, or only where they are all of one kind.

    No part begins before four processes are at work on one each: see `Sharer`.
    """
    with everywhere(system) as programs:
        system.client.submit("sharer", job_id="j", parallel=4, **params(system, workers=4))
        programs[0].wait_until(lambda: system.record("j").status.is_final)
        tails = [program.tail() for program in programs]
    slices = check(system)
    kinds = {platform.partition("/")[0] for platform in slices}
    assert kinds == {"lambda", "runpod", "plain"}, tails
    assert {"plain/one", "plain/two"} <= slices.keys()
