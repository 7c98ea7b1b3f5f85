"""A process in which a kernel has not run, to resume it there from a state of this process."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
import warnings
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from outlast.kernel.testing.sample import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    Work = Callable[[str, Callable[[], None]], str]

# On top of the time that this process has taken, for much more than is asked of the other one.
PATIENCE_SECONDS = 60.0


class Unfinished(Exception):
    """The other process has no result. The message is a verb phrase, such as "raises KeyError"."""


@contextmanager
def another_process(work: Work) -> Iterator[Callable[[str], str]]:
    """Fork a process; yield a function that has it do `work` on a text, once.

    `work` gets the text and a function to call from time to time, which ends the process if this
    one is gone. What it prints or logs is dropped. The process ends with the context.

    Raises:
        Unfinished: from the function, where the work raises, its process dies or gets stuck.
    """
    context = get_context("fork")  # A kernel may be one that no other process could import.
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(ours, theirs, work), daemon=True)
    started_at = perf_counter()

    def ask(text: str) -> str:
        patience = PATIENCE_SECONDS + perf_counter() - started_at
        try:
            _receive(ours, patience)  # It has started, and reads a text of any size.
            ours.send_bytes(text.encode())
            answer = json.loads(_receive(ours, patience))
        except (EOFError, OSError):
            child.join(PATIENCE_SECONDS)
            raise Unfinished(f"ends its process (exit code {child.exitcode})") from None
        if "error" in answer:
            raise Unfinished(f"raises {answer['error']}")
        return str(answer["result"])

    with ours:
        try:
            with theirs, warnings.catch_warnings():
                # The warning: threads of this process may hold locks. If so, `ask` reports that
                # the other one is stuck.
                warnings.filterwarnings("ignore", r".*fork\(\)", DeprecationWarning)
                child.start()
            yield ask
        finally:
            if child.pid is not None:
                child.kill()
                child.join()
            child.close()


def _receive(pipe: Connection, seconds: float) -> bytes:
    if not pipe.poll(seconds):
        raise Unfinished(f"gives no answer for {seconds:.0f} s")
    return pipe.recv_bytes()


def _serve(ours: Connection, pipe: Connection, work: Work) -> None:
    """Do the work in the child process, and exit without the parent's exit handlers."""
    try:
        ours.close()  # Else the child would not see that the parent is gone.
        _silence()
        pipe.send_bytes(b"ready")
        text = pipe.recv_bytes().decode()
        pipe.send_bytes(json.dumps(_answer(work, text, pipe)).encode())
    finally:
        os._exit(0)  # Also where the parent is gone.


def _answer(work: Work, text: str, pipe: Connection) -> dict[str, str]:
    def exit_if_orphaned() -> None:
        if pipe.poll():
            os._exit(0)

    try:
        return {"result": work(text, exit_if_orphaned)}
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        return {"error": excerpt(error)}


def _silence() -> None:
    faulthandler.disable()
    logging.disable()
    null: Any = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    for number in (1, 2):
        os.dup2(null.fileno(), number)
    sys.stdout = sys.stderr = null
