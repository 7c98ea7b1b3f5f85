"""`assert_resumable` resumes a kernel in another process, in which it has not run."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from multiprocessing import active_children
from typing import TYPE_CHECKING, ClassVar

import pytest

from outlast.kernel.testing import another_process, assert_resumable
from tests.kernels import (
    Counting,
    Params,
    Result,
    State,
    Walking,
    advance,
    expected,
    raising,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from outlast.kernel import Resources

STEPS = Params(steps=12)
FORK = r"resumed from safe point 7, \{.*\}, in another process"
HINT = "all that it needs must be in its state, not in the class or the module"


class Remembering(Walking):
    """Keeps what it has seen in a list of its class."""

    seen: ClassVar[list[int]] = []

    def begin(self, state: State | None) -> None:
        if state is None:
            self.seen.clear()
        del self.seen[state.at if state else 0 :]
        self.total = 0
        for at in range(len(self.seen)):
            self.total = advance(at, self.total)

    def total_after(self, at: int, resources: Resources) -> int:
        self.seen.append(at)
        return super().total_after(at, resources)


class Indexing(Walking):
    """Keeps its totals in a dict of its class."""

    totals: ClassVar[dict[int, int]] = {}

    def begin(self, state: State | None) -> None:
        self.total = self.totals[state.at] if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        total = self.totals[at + 1] = super().total_after(at, resources)
        return total


TOTALS: list[int] = []


class Trusting(Walking):
    """Keeps its totals in a list of its module."""

    def begin(self, state: State | None) -> None:
        if state is None:
            TOTALS[:] = [0]
        self.total = TOTALS[state.at] if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        total = super().total_after(at, resources)
        TOTALS[at + 1 :] = [total]
        return total


class Caching(Walking):
    """Keeps in its class what it can work out again, which takes long the first time."""

    totals: ClassVar[list[int]] = []

    def begin(self, state: State | None) -> None:
        if state and len(self.totals) < state.at:
            time.sleep(0.1)  # Longer than a step may take in its test.
            self.totals[:] = [0]
            for at in range(state.at):
                self.totals.append(advance(at, self.totals[at]))
        self.total = self.totals[state.at] if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        self.totals[at:] = [self.total, total := super().total_after(at, resources)]
        return total


class Elsewhere(Counting):
    """Does `act` in every process but the one that made it."""

    def __init__(self, act: Callable[[], object]) -> None:
        home = os.getpid()
        super().__init__(lambda _: None if os.getpid() == home else act())


def stuck() -> None:
    """Wait for ever, as for a lock of a thread that a fork did not copy."""
    threading.Event().wait()


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (Remembering(), rf"{FORK} its result is .* instead of .*: {HINT}"),
        (Indexing(), rf"{FORK} it raises KeyError\(7\): {HINT}"),
        (Trusting(), rf"{FORK} it raises IndexError.*: {HINT}"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Counting) else "",
)
def test_what_is_kept_in_a_process_is_found(kernel: Counting, message: str) -> None:
    """Its jobs would end in wrong results wherever another worker takes over."""
    with pytest.raises(AssertionError, match=message):
        assert_resumable(kernel, STEPS)


def test_a_cache_in_the_class_is_no_mistake() -> None:
    """A kernel would have to build its tables anew in every slice."""
    result = assert_resumable(Caching(), STEPS, longest_step_seconds=0.08)
    assert result.model_dump() == expected(12)


def test_the_other_process_has_the_kernels_of_a_test() -> None:
    """An author could not try a kernel that is written, or set up, within a test."""
    seen: list[int] = []

    class Here(Counting):
        def run(
            self, params: Params, state: State | None, resources: Resources
        ) -> Generator[State, None, Result]:
            seen.append(0)
            return super().run(params, state, resources)

        def prepare(self, params: Params | None) -> None:
            assert not seen, "it has run before"

    assert assert_resumable(Here(), STEPS).model_dump() == expected(12)
    assert seen


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r"ends its process \(exit code -9\)"),
        (lambda: os._exit(3), r"ends its process \(exit code 3\)"),
        (lambda: sys.exit("enough"), r"raises SystemExit\('enough'\)"),
        (stuck, "gives no answer for [01] s"),
    ],
    ids=["killed", "gone", "exit", "stuck"],
)
def test_the_end_of_the_other_process_is_named(
    act: Callable[[], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test of a kernel would hang for ever, or end without a word of why."""
    if act is stuck:
        monkeypatch.setattr(another_process, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(AssertionError, match=rf"{FORK} it {message}.*forks=False"):
        assert_resumable(Elsewhere(act), STEPS)
    assert not active_children()
    assert_resumable(Elsewhere(act), STEPS, forks=False)


def test_the_other_process_is_silent(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An author would read everything twice, and crash reports of mere trials."""

    def chatter() -> None:
        print("heard")  # noqa: T201 - that is what is tried
        print("heard", file=sys.stderr, flush=True)  # noqa: T201
        os.write(1, b"heard")
        logging.getLogger("kernel").error("heard")
        (tmp_path / "spoken").touch()

    logging.getLogger().addHandler(handler := logging.FileHandler(tmp_path / "log"))
    try:
        assert_resumable(Elsewhere(chatter), STEPS)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    assert (tmp_path / "spoken").exists()
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "log").read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("oops")])
def test_the_other_process_does_not_outlive_the_call(error: BaseException) -> None:
    """Processes would pile up on the author's machine, each with the memory of the test run."""
    with pytest.raises(type(error)):
        assert_resumable(raising(error, at=3), STEPS)
    assert not active_children()


def test_a_process_with_threads_may_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where warnings are errors, no kernel could be tested beside someone else's thread."""
    fork = os.fork

    def warning_fork() -> int:
        # What Python does from 3.12 on.
        message = "This process (pid=7) is multi-threaded, use of fork() may lead to deadlocks"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return fork()

    monkeypatch.setattr(os, "fork", warning_fork)
    assert_resumable(Counting(), STEPS)


def test_where_there_is_no_fork_the_rest_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """An author on such a system could not test a kernel at all."""
    monkeypatch.delattr(os, "fork")
    assert assert_resumable(Counting(), STEPS).model_dump() == expected(12)
    with pytest.raises(AssertionError, match="progress is 2"):
        assert_resumable(Counting(progress=lambda *_: 2), STEPS)
