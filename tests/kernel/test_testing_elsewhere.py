"""`assert_resumable` resumes a kernel in another process, and under another hash seed."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from outlast.kernel import Kernel, Model, Resources
from outlast.kernel.testing import another_process, assert_resumable
from tests.kernels import (
    ROOT,
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

STEPS = Params(steps=12)
POINT = r"resumed from safe point 7, \{.*\}, in"
FORK = rf"{POINT} another process"
INTERPRETER = rf"{POINT} an interpreter with another hash seed"
HINT = "all that it needs must be in its state, not in the class or the module"
HASHES = "it depends on hash or on the order of a set, or on what a test has set up in a module"


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


class WordParams(Model):
    """A folder, in which each process of the kernel leaves a file of its name."""

    folder: str
    home: int = 0


class WordState(Model):
    """How many words are done."""

    done: int = 0
    text: str = ""


class WordResult(Model):
    """Some words."""

    text: str


class Words(Kernel[WordParams, WordState, WordResult]):
    """Strings the words of a list together. Another process can import it and make it again."""

    name = "words"
    Params, State, Result = WordParams, WordState, WordResult

    def words(self) -> list[str]:
        """Return what the state counts."""
        return sorted({f"word{number}" for number in range(20)})

    def run(
        self, params: WordParams, state: WordState | None, resources: Resources
    ) -> Generator[WordState, None, WordResult]:
        (Path(params.folder) / str(os.getpid())).write_text(os.environ.get("PYTHONHASHSEED", ""))
        state = state or WordState()
        for done, word in list(enumerate(self.words(), 1))[state.done :]:
            self.step(params)
            yield (state := WordState(done=done, text=state.text + word))
        return WordResult(text=state.text)

    def step(self, params: WordParams) -> None:
        """Take one step."""

    def progress(self, params: WordParams, state: WordState) -> float:
        return state.done / 20


class Unordered(Words):
    """Takes the words as a set has them: the result is another one in each process."""

    def words(self) -> list[str]:
        return list({f"word{number}" for number in range(20)})


class Counted(Unordered):
    """Takes them so, too, and its result depends on that only where it is stopped."""

    def run(
        self, params: WordParams, state: WordState | None, resources: Resources
    ) -> Generator[WordState, None, WordResult]:
        result = yield from super().run(params, state, resources)
        return WordResult(text="".join(sorted(result.text)))


class Recalling(Words):
    """Keeps what it has strung together in a dict of its class."""

    texts: ClassVar[dict[int, str]] = {}

    def run(
        self, params: WordParams, state: WordState | None, resources: Resources
    ) -> Generator[WordState, None, WordResult]:
        done = state.done if state else 0
        text = self.texts.get(done, "")
        for number, word in list(enumerate(self.words(), 1))[done:]:
            text = self.texts[number] = text + word
            yield WordState(done=number)
        return WordResult(text=text)


class Departing(Words):
    """Raises in each process but the one that began it."""

    def step(self, params: WordParams) -> None:
        if os.getpid() != params.home:
            raise KeyError("table")


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


@pytest.mark.parametrize("seed", ["", "1"])
def test_a_kernel_that_can_be_imported_runs_under_another_hash_seed(
    seed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that depends on the order of a set would pass, as the set is the same each time."""
    monkeypatch.setenv("PYTHONHASHSEED", seed)
    assert assert_resumable(Words(), WordParams(folder=str(tmp_path))).text.startswith("word0")
    seeds = [file.read_text() for file in tmp_path.iterdir()]
    assert sorted(seeds) == sorted([seed, seed, "2" if seed else "1"])  # here, fork, interpreter


def test_the_interpreter_needs_no_fork(tmp_path: Path) -> None:
    """An author with CUDA would test in one process only."""
    assert_resumable(Words(), WordParams(folder=str(tmp_path)), forks=False)
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(AssertionError, match=rf"resumed from .*, in an interpreter .*: {HINT}, or"):
        assert_resumable(Recalling(), WordParams(folder=str(tmp_path)), forks=False)


@pytest.mark.parametrize("kernel", [Unordered(), Counted()])
def test_a_result_that_depends_on_the_order_of_a_set(kernel: Words, tmp_path: Path) -> None:
    """Each worker has a seed of its own: the job's result would be a mixture of several orders."""
    message = rf"resumed from safe point 1\d, .*, in an interpreter .* its result is .*: {HASHES}"
    with pytest.raises(AssertionError, match=message):
        assert_resumable(kernel, WordParams(folder=str(tmp_path)))


def test_an_error_in_the_interpreter_is_named(tmp_path: Path) -> None:
    """An author would not know what the new process lacks."""
    params = WordParams(folder=str(tmp_path), home=os.getpid())
    with pytest.raises(AssertionError, match=r"an interpreter .* it raises KeyError\('table'\)"):
        assert_resumable(Departing(), params, forks=False)


def test_a_kernel_that_cannot_be_imported_is_tried_without_the_interpreter(tmp_path: Path) -> None:
    """An author could not try a kernel that is written within a test or a script."""

    class Here(Unordered):
        pass

    assert_resumable(Here(), WordParams(folder=str(tmp_path)), interruptions=2)
    assert len(list(tmp_path.iterdir())) == 2
    script = tmp_path / "script.py"
    script.write_text(
        "from tests.kernel.test_testing_elsewhere import *\n"
        "class InScript(Unordered): pass\n"
        "assert_resumable(InScript(), WordParams(folder='.'), interruptions=2, forks=False)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, check=True)


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


class Chatty(Words):
    """Prints in each process but the one that began it."""

    def step(self, params: WordParams) -> None:
        if os.getpid() != params.home:
            os.write(1, b"heard")
            print("heard", file=sys.stderr, flush=True)  # noqa: T201 - that is what is tried


def test_the_interpreter_is_silent(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The same for the interpreter."""
    assert_resumable(Chatty(), WordParams(folder=str(tmp_path), home=os.getpid()))
    assert len(list(tmp_path.iterdir())) == 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("oops")])
def test_the_other_process_does_not_outlive_the_call(error: BaseException) -> None:
    """Processes would pile up on the author's machine, each with the memory of the test run."""
    with pytest.raises(type(error)):
        assert_resumable(raising(error, at=3), STEPS)
    assert not active_children()


class Murdering(Words):
    """Kills the process that began it, and goes on for some time; counts its steps in a file."""

    def step(self, params: WordParams) -> None:
        if os.getpid() == params.home:
            return
        if not hasattr(self, "steps"):  # It is locked until the process ends.
            self.steps = (Path(params.folder) / "steps").open("a")
            fcntl.flock(self.steps, fcntl.LOCK_EX)
        print("step", file=self.steps, flush=True)
        with suppress(ProcessLookupError):
            os.kill(params.home, signal.SIGKILL)
        time.sleep(0.1)


@pytest.mark.parametrize("forks", [True, False])
def test_the_other_process_leaves_when_this_one_is_killed(*, forks: bool, tmp_path: Path) -> None:
    """It would go on computing, where a machine's watchdog has ended the test run."""
    program = (
        "import os\n"
        "from tests.kernel.test_testing_elsewhere import *\n"
        f"params = WordParams(folder={str(tmp_path)!r}, home=os.getpid())\n"
        f"assert_resumable(Murdering(), params, forks={forks})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with (tmp_path / "steps").open() as steps:
        fcntl.flock(steps, fcntl.LOCK_EX)  # It is free once the other process has ended.
        assert steps.read() == "step\n"


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
