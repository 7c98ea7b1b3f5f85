"""The demonstration of the local stack, with a kernel that is quick and workers of each kind."""

from __future__ import annotations

import runpy
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernels import ROOT, expected
from tests.runtimes import emulator
from tests.runtimes.programs import running

if TYPE_CHECKING:
    from tests.runtimes.system import System

WORKER = [sys.executable, "-m", "outlast.worker.cli", "worker"]
STEPS = 60


@pytest.fixture
def demo(system: System, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the program, which is to run a job of `sharer` in its place."""
    meeting = system.folder / "meeting"
    meeting.mkdir()
    program = runpy.run_path(str(ROOT / "deploy/local/demo.py"))
    names: dict[str, Any] = program["main"].__globals__
    params = {"steps": STEPS, "step_seconds": 0.06, "workers": 3, "meeting": str(meeting)}
    ours = {"KERNEL": "sharer", "PARAMS": params, "RESULT": expected(STEPS), "LOOK_SECONDS": 0.01}
    for name, value in ours.items():
        monkeypatch.setitem(names, name, value)
    monkeypatch.setitem(names, "keep_runpod_awake", lambda: None)
    return names


# What a worker of each kind calls itself in the stack, and where it says that it is.
PLAIN, ON_LAMBDA = ("a1b2c3:1", "container"), ("$LATEST", "lambda/x86_64/1769")
ON_RUNPOD = ("runpod:1", "container")


def run(demo: dict[str, Any], system: System, *workers: tuple[str, str]) -> None:
    """Run the program, with these workers."""
    with ExitStack() as stack:
        for number, (name, platform) in enumerate(workers):
            says = {"AWS_LAMBDA_LOG_STREAM_NAME": name, "OUTLAST_PLATFORM": platform}
            env = emulator.function_env(system.env) | says
            stack.enter_context(running(WORKER, log=system.folder / f"{number}.log", env=env))
        demo["main"]()


def test_it_shows_who_is_at_which_part(
    demo: dict[str, Any], system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person who tries the stack would see nothing of what it is for."""
    run(demo, system, PLAIN, ON_LAMBDA, ON_RUNPOD)
    told = capsys.readouterr().out
    assert "the result is right, and every kind of worker had a part in it" in told
    assert ", 3 workers at the same time" in told
    for place in ("worker", "lambda", "runpod"):
        assert f"  slice 1  {place}\n" in told


def test_a_kind_of_worker_that_does_nothing_is_told(demo: dict[str, Any], system: System) -> None:
    """The stack's test would pass with a function that takes no message."""
    with pytest.raises(SystemExit, match="no part taken by: runpod"):
        run(demo, system, PLAIN, ON_LAMBDA, ON_LAMBDA)
