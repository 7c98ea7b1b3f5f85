"""Starts the platforms' programs, waits until they serve, and ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

LIMIT_SECONDS = 60.0


class Ended(Exception):
    """The program ended, or did not come up; the message holds the end of its log."""


@dataclass
class Program:
    """A running program and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until `is_so()`; fail with the log if the program ends, or takes too long."""
        end = time.monotonic() + LIMIT_SECONDS
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Ended(f"code {self.process.returncode}; the end of its log:\n{self.tail()}")
            time.sleep(servers.POLL_SECONDS)

    def tail(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-4000:]


@contextmanager
def running(command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Iterator[Program]:
    """Run `command` in the folder of its log, and nothing of it after the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean(env),
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def clean(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` with what a program cannot do without, and nothing of the person's."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONWARNINGS": "error"} | env


@contextmanager
def repeating(act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again, beside the block, until that has ended and it is done."""
    stopped = Event()

    def repeat() -> None:
        while not stopped.is_set():
            act()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(repeat)
        try:
            yield
        finally:
            stopped.set()
    done.result()
