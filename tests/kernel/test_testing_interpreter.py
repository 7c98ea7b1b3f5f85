"""`assert_resumable` resumes a kernel in an interpreter with another hash seed."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from outlast.kernel import Kernel, Model, Resources
from outlast.kernel.testing import assert_resumable
from tests.kernels import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator

HINT = "all that it needs must be in its state, not in the class or the module"
HASHES = "it depends on hash or on the order of a set, or on what a test has set up in a module"


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
        "from tests.kernel.test_testing_interpreter import *\n"
        "class InScript(Unordered): pass\n"
        "assert_resumable(InScript(), WordParams(folder='.'), interruptions=2, forks=False)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, check=True)


class Chatty(Words):
    """Prints in each process but the one that began it, also where it is made."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __setstate__(self, state: dict[str, int]) -> None:
        vars(self).update(state)
        if os.getpid() != self.home:
            os.write(1, b"heard")

    def step(self, params: WordParams) -> None:
        if os.getpid() != params.home:
            os.write(1, b"heard")
            print("heard", file=sys.stderr, flush=True)  # noqa: T201 - that is what is tried


def test_the_interpreter_is_silent(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The same for the interpreter."""
    assert_resumable(Chatty(), WordParams(folder=str(tmp_path), home=os.getpid()))
    assert len(list(tmp_path.iterdir())) == 3
    assert capfd.readouterr() == ("", "")


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
        "from tests.kernel.test_testing_interpreter import *\n"
        f"params = WordParams(folder={str(tmp_path)!r}, home=os.getpid())\n"
        f"assert_resumable(Murdering(), params, forks={forks})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with (tmp_path / "steps").open() as steps:
        fcntl.flock(steps, fcntl.LOCK_EX)  # It is free once the other process has ended.
        assert steps.read() == "step\n"
