"""A process in which a kernel has not run, to go on in from a state that it yielded elsewhere."""

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

from outlast.kernel.testing.sample import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    Work = Callable[[str, Callable[[], None]], str]

# To the time that the same process has taken for much more than is asked of the other one.
PATIENCE_SECONDS = 60.0


class Unfinished(Exception):
    """The other process did not get to a result. The message says why, as what it does."""


@contextmanager
def another_process(work: Work) -> Iterator[Callable[[str], str]]:
    """Fork a process at once; give the function that has it do `work` on a text, for once.

    `work` is given the text and a function to call from time to time, which ends the process if
    this one is gone. What it prints or logs is dropped. The process ends with the context.

    Raises:
        Unfinished: by the function, where the work raises, its process dies or gets stuck.
    """
    context = get_context("fork")  # A kernel may be one that no other process could import.
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(ours, theirs, work), daemon=True)
    begun = perf_counter()

    def ask(text: str) -> str:
        patience = PATIENCE_SECONDS + perf_counter() - begun
        try:
            _receive(ours, patience)  # It is there, and will take a text of any size.
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
                # That threads of this process may hold locks: then it gets stuck, and we say so.
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
    """Do the work in the child process, and leave without what the parent does at its end."""
    try:
        ours.close()  # Else we would not see that the parent is gone.
        _be_silent()
        pipe.send_bytes(b"ready")
        text = pipe.recv_bytes().decode()
        pipe.send_bytes(json.dumps(_answer(work, text, pipe)).encode())
    finally:
        os._exit(0)  # Also where the parent is gone.


def _answer(work: Work, text: str, pipe: Connection) -> dict[str, str]:
    def leave_if_alone() -> None:
        if pipe.poll():
            os._exit(0)

    try:
        return {"result": work(text, leave_if_alone)}
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        return {"error": shown(error)}


def _be_silent() -> None:
    faulthandler.disable()
    logging.disable()
    nowhere: Any = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    for number in (1, 2):
        os.dup2(nowhere.fileno(), number)
    sys.stdout = sys.stderr = nowhere
