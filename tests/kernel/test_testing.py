"""`assert_resumable` passes what can be stopped anywhere, and names what cannot."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import Mock

import primecountpy
import pytest
from pydantic import BaseModel

from outlast.kernel.nth_prime import NthPrime, PrimeCount
from outlast.kernel.testing import another_process, assert_resumable
from tests.kernels import (
    FIRST,
    AnyState,
    Counting,
    FloatResult,
    InPlace,
    Params,
    Plain,
    Result,
    State,
    advance,
    careless,
    expected,
    raising,
    scripted,
    stalling,
    stubborn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from outlast.kernel import Resources

STEPS = Params(steps=12)
ELSEWHERE = r"resumed from safe point 7, \{.*\}, in another process"
HINT = "all that it needs must be in its state, not in the class or the module"


class Walking(Counting):
    """Counts by `begin`, `total_after` and `end`, which its subclasses get wrong."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Take one step after another."""
        self.begin(state)
        at = state.at if state else 0
        while at < params.steps:
            total = self.total_after(at, resources)
            at += 1
            yield State(at=at, total=total)
        return self.end()

    def begin(self, state: State | None) -> None:
        """Go on from the state."""
        self.total = state.total if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        """Take one step."""
        self.total = advance(at, self.total)
        return self.total

    def end(self) -> Result:
        """Return the result."""
        return Result(total=self.total)


class Forgetful(Walking):
    """Keeps a part of its progress in a local variable only."""

    def begin(self, state: State | None) -> None:
        self.total = 0


class Late(Walking):
    """Goes wrong only where it goes on from its seventh state."""

    def begin(self, state: State | None) -> None:
        super().begin(state)
        self.total += state is not None and state.at == 7


class Hoarding(Walking):
    """Keeps its progress in the object, and starts from what another run has left there."""

    total = 0

    def begin(self, state: State | None) -> None:
        if state is not None and not self.total:
            self.total = state.total


class Proud(Walking):
    """Trusts what it knows rather than the state, once it has been further than that."""

    furthest = State(at=0, total=0)

    def begin(self, state: State | None) -> None:
        is_back = state is not None and state.at < self.furthest.at
        self.at = state.at if state else 0
        self.total = self.furthest.total if is_back else state.total if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        total = super().total_after(at, resources)
        if at + 1 > self.furthest.at or at == 0:
            self.furthest = State(at=at + 1, total=total)
        return total


class Crowded(Walking):
    """Its answer depends on how many threads it may use."""

    def total_after(self, at: int, resources: Resources) -> int:
        self.total = super().total_after(at, resources) + resources.threads
        return self.total


class Hesitant(Counting):
    """First yields the state that it resumes from, as a kernel may within a long step."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        yield state or State(at=0, total=0)
        return (yield from super().run(params, state, resources))


class Circling(Counting):
    """Goes from one state to another and back where it is stopped at each."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        at = state.at % 2 if state else 0
        yield State(at=at + 1, total=0)
        yield State(at=3, total=0)
        return Result(total=0)

    def progress(self, params: Params, state: State) -> float:
        return 0.0


class Broken(Walking):
    """Cannot go on from any state."""

    def begin(self, state: State | None) -> None:
        super().begin(state)
        if state is not None:
            raise KeyError("table")


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


class Totals(BaseModel, frozen=True):
    """A frozen state with a list, which is not."""

    totals: list[int] = [0]

    @property
    def at(self) -> int:
        """How many steps are done."""
        return len(self.totals) - 1


class Piling(Counting):
    """Yields one and the same frozen state again and again, whose list it adds to."""

    State = Totals  # type: ignore[assignment]

    def run(self, params: Params, state: Any, _: Resources) -> Generator[Any, None, Result]:
        """Take one step after another."""
        state = state or Totals()
        while state.at < params.steps:
            state.totals.append(advance(state.at, state.totals[-1]))
            yield state
        return Result(total=state.totals[-1])


class Spoiling(Piling):
    """Changes the last state that it has yielded."""

    def run(self, *arguments: Any) -> Generator[Any, None, Result]:
        """Count in new states, and spoil the last one."""
        steps, last = super().run(*arguments), None
        while True:
            try:
                last = next(steps).model_copy(deep=True)
            except StopIteration as end:
                if last is not None:
                    last.totals.clear()
                return end.value
            yield last


class Reusing(InPlace):
    """Changes the state that it resumes from, but none that it has yielded."""

    def run(self, *arguments: Any) -> Generator[Any, None, Result]:
        """Count, and yield a copy each time."""
        steps = super().run(*arguments)
        while True:
            try:
                state = next(steps)
            except StopIteration as end:
                return end.value
            yield state.model_copy()


class Elsewhere(Counting):
    """Does `act` in every process but the one that made it."""

    def __init__(self, act: Callable[[], object]) -> None:
        home = os.getpid()
        super().__init__(lambda _: None if os.getpid() == home else act())


def stuck() -> None:
    """Wait for ever, as for a lock of a thread that a fork did not copy."""
    threading.Event().wait()


def sleepy(number: int) -> None:
    """Take a long step in the middle."""
    time.sleep(0.05 if number == 4 else 0)


@pytest.mark.parametrize("steps", [0, 1, 2, 50, 51, 197])
@pytest.mark.parametrize("interruptions", [1, 10, 200])
def test_a_sound_kernel_passes(steps: int, interruptions: int) -> None:
    """An author would look for a mistake where there is none."""
    result = assert_resumable(Counting(), Params(steps=steps), interruptions=interruptions)
    assert result.model_dump() == expected(steps)


def test_each_run_has_a_scratch_folder_of_its_own() -> None:
    """A kernel that finds there what an earlier slice has left would pass, and fail elsewhere."""

    class Scratching(Counting):
        def run(self, params: Params, state: Any, resources: Resources) -> Any:
            assert list(resources.scratch.iterdir()) == []
            (resources.scratch / "file").touch()
            folders.add(resources.scratch)
            return super().run(params, state, resources)

    folders: set[Path] = set()
    assert_resumable(Scratching(), STEPS)
    assert len(folders) > 2
    assert not any(folder.exists() for folder in folders)


def test_a_state_that_is_yielded_again_is_no_mistake() -> None:
    """A kernel could not be stopped in the middle of what it has to do in one go."""
    assert assert_resumable(Hesitant(), STEPS).model_dump() == expected(12)


@pytest.mark.parametrize("kernel", [Reusing(), InPlace()])
def test_a_state_that_is_not_frozen_may_be_changed(kernel: InPlace) -> None:
    """An author would copy large states for nothing."""
    assert assert_resumable(kernel, STEPS).model_dump() == expected(12)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (
            Forgetful(),
            r"resumed from safe point 1, \{\"at\":1.*, its result is .*: all that it needs must be",
        ),
        (Late(), "resumed from safe point 7, "),
        (Hoarding(), "stopped at each of its 12 safe points, .* keep nothing in the kernel object"),
        (Proud(), "stopped, with each stretch run twice, at each of its 12 safe points"),
        (Crowded(), "safe point 1, .*, with 2 threads its .* must not depend on resources.threads"),
        (Remembering(), rf"{ELSEWHERE} its result is .* instead of .*: {HINT}"),
        (Indexing(), rf"{ELSEWHERE} it raises KeyError\(7\): {HINT}"),
        (Trusting(), rf"{ELSEWHERE} it raises IndexError.*: {HINT}"),
        (Circling(), "it does not end"),
        (Broken(), r"resumed from safe point 1, .*, it raises KeyError\('table'\)"),
        (stubborn(), "does not stop when it is closed"),
        (Counting(progress=lambda *_: 1.5), "progress is 1.5 after 0.0"),
        (Counting(progress=lambda *_: float("nan")), "progress is nan"),
        (Counting(progress=Mock(side_effect=[0.5, 0.4])), "progress is 0.4 after 0.5"),
        (scripted(FIRST, {"at": 2}), "the state is dict, not State: {'at': 2}"),
        (careless(state=(1, 2)), r"the state does not survive being stored as JSON: AnyState\("),
        (careless(result={1}), "the result does not survive"),
        (
            careless(result=math.inf, result_model=FloatResult),
            "the result is not finite, .*: value is inf",
        ),
        (
            careless(state={"means": [0.5, math.nan]}),
            r"the state is not finite, .*: value.means\[1\]",
        ),
        (
            Piling(),
            r"it changes a frozen state .*: it was .*\[0,1\]\}, then .*\[0,1,33\]\}",
        ),
        (
            Spoiling(),
            r"it changes a frozen state that it has yielded; .*, then \{\"totals\":\[\]\}",
        ),
        (Plain(), "run must be a generator: it has no yield"),
        (Counting, r"give an instance, Counting\(\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Counting) else "",
)
def test_an_unsound_kernel_fails_with_the_reason(kernel: Counting, message: str) -> None:
    """Its jobs would end in wrong results, but only on days when workers die."""
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
    with pytest.raises(AssertionError, match=rf"{ELSEWHERE} it {message}.*forks=False"):
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


def test_the_other_process_leaves_when_this_one_is_killed(tmp_path: Path) -> None:
    """It would go on computing, where a machine's watchdog has ended the test run."""
    (tmp_path / "killed.py").write_text(
        "import os, signal, sys, time\n"
        "parent, writing = os.getpid(), int(sys.argv[1])\n"
        "from outlast.kernel.testing.another_process import another_process\n"
        "def work(text, check_parent):\n"
        "    os.write(writing, b'at work')\n"
        "    os.kill(parent, signal.SIGKILL)\n"
        "    for _ in range(300):\n"
        "        check_parent()\n"
        "        time.sleep(0.01)\n"
        "    os.write(writing, b' to the end')\n"
        "with another_process(work) as ask:\n"
        "    ask('')\n"
    )
    reading, writing = os.pipe()
    with open(reading, "rb") as heard:  # noqa: PTH123 - it is a pipe
        command = [sys.executable, str(tmp_path / "killed.py"), str(writing)]
        done = subprocess.run(command, pass_fds=[writing], timeout=60, check=False)
        os.close(writing)
        assert heard.read() == b"at work"  # which ends with the last process that could write
    assert done.returncode == -signal.SIGKILL


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
    with pytest.raises(AssertionError, match="resumed from safe point 1, "):
        assert_resumable(Forgetful(), STEPS)


def test_two_safe_points_that_are_too_far_apart() -> None:
    """A worker would be killed at its deadline in the middle of the long step."""
    with pytest.raises(AssertionError, match=r'after \{"at":4.* longer than the 0.04'):
        assert_resumable(Counting(sleepy), STEPS, longest_step_seconds=0.04)
    assert_resumable(Counting(sleepy), Params(steps=5), longest_step_seconds=None)


def test_a_kernel_that_never_advances() -> None:
    """Its jobs would be given up, and its test would run for ever."""
    with pytest.raises(AssertionError, match="there was no other state"):
        assert_resumable(stalling(), STEPS, longest_step_seconds=0.02)


def test_an_error_of_the_kernel_is_shown_as_it_is() -> None:
    """An author would read of resuming where their own code has a plain mistake."""
    with pytest.raises(ZeroDivisionError):
        assert_resumable(raising(ZeroDivisionError("oops"), at=3), STEPS)


def test_parameters_that_json_cannot_carry() -> None:
    """The test would pass, and no such job could ever be submitted."""
    kernel = scripted(Params=AnyState)
    with pytest.raises(AssertionError, match="the value of its parameters does not survive"):
        assert_resumable(kernel, AnyState(value={1}))


@pytest.mark.parametrize("position", [1, 100_000, 1_500_000, 10_000_001])
def test_the_nth_prime(position: int) -> None:
    """Our own kernel would not keep what we ask of others."""
    result = assert_resumable(NthPrime(), NthPrime.Params(position=position), interruptions=10)
    assert result.prime == primecountpy.nth_prime(position)


@pytest.mark.parametrize("x", [10, 10**7, 10**11, 10**13])
def test_the_count_of_primes(x: int) -> None:
    """The same for our other kernel, whose states are tables and whose threads share them."""
    result = assert_resumable(PrimeCount(), PrimeCount.Params(x=x), interruptions=5)
    assert result.count == primecountpy.prime_pi(x)
