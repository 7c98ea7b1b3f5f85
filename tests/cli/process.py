"""The `outlast` command as a process of its own, whose output can be waited for."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from tests.cli.terminal import Terminal

    # What the fixtures of these names are.
    Outlast = Callable[..., "Ended"]
    OutlastJson = Callable[..., Any]
    Start = Callable[..., "Process"]
    AtTerminal = Callable[..., Terminal]

OUTLAST = str(Path(sysconfig.get_path("scripts")) / "outlast")
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.01


def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(POLL_SECONDS)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    if sys.platform != "linux":
        stat = ["ps", "-o", "stat=", "-p", str(pid)]
        told = subprocess.run(stat, capture_output=True, text=True, check=False).stdout
        return told.strip() != "" and told.strip()[0] != "Z"
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Ended(NamedTuple):
    """How a command ended, and all that it printed."""

    code: int
    out: str
    err: str


def assert_one_line(ended: Ended, code: int, words: str) -> None:
    """Assert that the command printed one line with `words` on standard error, and nothing else."""
    assert words in ended.err
    assert ended.err.startswith("outlast: ")
    assert ended.err.count("\n") == 1
    assert (ended.code, ended.out) == (code, "")


class Process:
    """A running command; `kill` it in any case."""

    def __init__(self, *words: str, **options: Any) -> None:
        self._process = subprocess.Popen(
            [OUTLAST, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self._out = _Reader(self._process.stdout)
        self._err = _Reader(self._process.stderr)

    def await_line(self, pattern: str) -> re.Match[str]:
        """Return the match of the next line on standard error that has `pattern`."""
        return self._err.await_line(pattern)

    def await_out(self, pattern: str) -> re.Match[str]:
        """Return the match of the next line on standard output that has `pattern`."""
        return self._out.await_line(pattern)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def children(self) -> list[int]:
        """Return the ids of the processes that it has started and that have not ended."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        )
        rows = (line.split() for line in listed.stdout.splitlines())
        return [int(pid) for pid, ppid, stat in rows if int(ppid) == self.pid and stat[0] != "Z"]

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the group, as a terminal does."""
        os.killpg(self._process.pid, number)

    def end(self) -> Ended:
        """Wait for the process to end."""
        code = self._process.wait(PATIENCE_SECONDS)
        return Ended(code, self._out.rest(), self._err.rest())

    def kill(self) -> None:
        """End it the hard way, if it has not ended."""
        self._process.kill()
        self.end()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


class _Reader:
    """Collects the lines of a stream."""

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream is not None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._seen: list[str] = []
        self._thread = threading.Thread(target=self._read, args=[stream], daemon=True)
        self._thread.start()

    def await_line(self, pattern: str) -> re.Match[str]:
        limit = time.monotonic() + PATIENCE_SECONDS
        while True:
            line = self._lines.get(timeout=max(limit - time.monotonic(), 0.01))
            assert line is not None, f"ended without {pattern!r}: {self._seen}"
            self._seen.append(line)
            if match := re.search(pattern, line):
                return match

    def rest(self) -> str:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "a process that it has left holds its output open"
        while not self._lines.empty():
            if line := self._lines.get():
                self._seen.append(line)
        return "".join(self._seen)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)
