"""A kernel that tells in its states what it was let know, and talks in every way there is.

It is apart from `tests/kernels.py` as a child process makes it anew, from its parameters alone.
"""

# ruff: noqa: T201 - a kernel prints what it likes
from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outlast.kernel import Kernel
from outlast.kernel.contract import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from outlast.kernel import Resources


class Params(Model):
    """Talk as `how` says at each of `steps` steps, each of which sleeps for so long."""

    steps: int = 1
    how: str = "is silent"
    step_seconds: float = 0.0


class State(Model):
    """How far it is, and what it knows."""

    at: int
    job_id: str
    seconds_left: float
    scratch: str = ""


class Result(Model):
    """How far it came."""

    at: int


# More than a pipe holds.
FAREWELL = "\n".join(["goodbye" * 1000] * 20)


def _write(number: int, data: bytes) -> None:
    os.write(number, data)


def _log(_: Resources) -> None:
    logging.getLogger("my.package").info("loss is %s", 0.5)
    logging.getLogger("my.package").debug("too much")


def _log_an_error(_: Resources) -> None:
    try:
        int("no such row")
    except ValueError:
        logging.getLogger("my.package").exception("left out")


def _print_much(_: Resources) -> None:
    for number in range(20_000):
        print(f"row {number}")


def _print_for_ever(_: Resources) -> None:
    while True:
        print("again")


WAYS: dict[str, Callable[[Resources], Any]] = {
    "is silent": lambda _: None,
    "says goodbye": lambda _: None,
    "prints": lambda _: print("loss", 0.5),
    "prints to standard error": lambda _: print("careful", file=sys.stderr),
    "prints half a line": lambda _: print("half", end=""),
    "prints a bar": lambda _: print("\r 10%\r 90%"),
    "prints for ever": _print_for_ever,
    "prints much": _print_much,
    "logs": _log,
    "logs an error": _log_an_error,
    "logs to its resources": lambda resources: resources.log.warning("no %s", "space"),
    "writes from C": lambda _: _write(1, b"from C\n"),
    "starts a program": lambda _: subprocess.run(["echo", "from a program"], check=True),
    "is cut short": lambda _: (print("before", end="", flush=True), os.abort()),
    "scratches": lambda resources: (resources.scratch / "file").touch(),
    "scratches and dies": lambda resources: ((resources.scratch / "file").touch(), os.abort()),
}


class Curious(Kernel[Params, State, Result]):
    """Counts to `steps`."""

    name = "curious"
    Params, State, Result = Params, State, Result

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Count and talk."""
        at = state.at if state else 0
        try:
            yield from self._count(params, at, resources)
        finally:
            if params.how == "says goodbye":
                print(FAREWELL)
        return Result(at=params.steps)

    def _count(self, params: Params, at: int, resources: Resources) -> Generator[State, None, None]:
        while at < params.steps:
            WAYS[params.how](resources)
            time.sleep(params.step_seconds)
            at += 1
            scratch = str(resources.scratch) if params.how.startswith("scratches") else ""
            assert not scratch or Path(scratch, "file").exists()
            yield State(
                at=at,
                job_id=resources.job_id,
                seconds_left=min(resources.seconds_left(), 1e9),
                scratch=scratch,
            )

    def progress(self, params: Params, state: State) -> float:
        """Return the share of the steps that is done."""
        return state.at / params.steps
