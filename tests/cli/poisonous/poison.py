"""A kernel that is installed beside Outlast and does to its process what no kernel should."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context

from pydantic import field_validator

from outlast.kernel import Kernel, Model


class PoisonParams(Model):
    """What to do before the third of four steps."""

    how: str

    @field_validator("how")
    @classmethod
    def exit_if_told(cls, how: str) -> str:
        """Call sys.exit on a certain word."""
        return sys.exit(5) if how == "exits when asked" else how


class PoisonState(Model):
    """How far it got, and whatever was hung on it."""

    done: int
    ballast: str = ""


class PoisonResult(Model):
    """What it did."""

    did: str


def prints() -> None:
    """Write what is no JSON, from Python and past it."""
    print("42 is the answer")  # noqa: T201 - which is the harm
    os.write(1, b"or so\n")


def closes_the_output() -> None:
    """Close what the answer is to be printed on."""
    sys.stdout.close()


def puts_away_the_output() -> None:
    """Put nothing in the place of what the answer is to be printed on."""
    sys.stdout = None


def leaves_a_thread() -> None:
    """Start a thread that never ends, and that Python waits for at its exit."""
    threading.Thread(target=threading.Event().wait).start()


def leaves_a_process() -> None:
    """Start a process that never ends, and that Python waits for at its exit."""
    get_context("fork").Process(target=threading.Event().wait).start()


def runs_a_program() -> None:
    """Start a program that says so and never ends, and wait for it."""
    subprocess.run(["sh", "-c", "echo at work >&2; exec sleep 600"], check=True)


def closes_the_errors() -> None:
    """Close what the log is printed on."""
    sys.stderr.close()


def takes_the_signals() -> None:
    """Put handlers of its own where the worker has put its own, and set the timer."""
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit("mine"))
    signal.setitimer(signal.ITIMER_REAL, 3600)


def hoards() -> None:
    """Allocate until there is no more."""
    HOARD.extend(bytearray(b"x") * (16 << 20) for _ in itertools.count())


HOARD: list[bytearray] = []
WAYS = {
    "prints": prints,
    "closes the output": closes_the_output,
    "puts away the output": puts_away_the_output,
    "leaves a thread": leaves_a_thread,
    "leaves a process": leaves_a_process,
    "runs a program": runs_a_program,
    "closes the errors": closes_the_errors,
    "takes the signals": takes_the_signals,
    "hoards": hoards,
    "exits": lambda: os._exit(9),
    "calls exit": sys.exit,
    "exits preparing": int,
    "raises": lambda: 1 / 0,
    "grows": int,
}


class Poison(Kernel[PoisonParams, PoisonState, PoisonResult]):
    """Does harm in a way of one's choice."""

    name = "poison"
    Params = PoisonParams
    State = PoisonState
    Result = PoisonResult

    def prepare(self, params):
        """End the process, if that is what is wanted."""
        if params.how == "dies preparing":
            os._exit(9)
        if params.how == "exits preparing":
            sys.exit("no accelerator here")

    def run(self, params, state, resources):  # noqa: ARG002 - needs nothing of them
        """Yield after each of four steps."""
        for done in range(state.done if state else 0, 4):
            if done == 2:
                WAYS[params.how]()
            yield PoisonState(done=done + 1, ballast="x" * 100_000_000 * (params.how == "grows"))
        return PoisonResult(did=params.how)

    def progress(self, params, state):  # noqa: ARG002 - the same for all
        """Return the share of the steps."""
        return state.done / 4
