"""What a person at a terminal sees, and what goes into a pipe instead."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.process import OUTLAST, PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.process import Process

LONG = ("tally", "steps=10_000", "step_seconds=0.005")
BAR = "━"


class Terminal:
    """A command at a pseudo-terminal of 100 columns; standard output goes to a pipe."""

    def __init__(self, *words: str, **env: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        environment = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [OUTLAST, *words],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            env=environment | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | env,
        )
        os.close(theirs)
        self.seen = ""

    def await_text(self, pattern: str) -> None:
        """Return once the terminal has shown `pattern`."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.seen):
            assert time.monotonic() < limit, self.seen
            assert self._read(), self.seen

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what went to standard output."""
        while self._read():
            pass
        out, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out

    def close(self) -> None:
        """Give the terminal back."""
        self.process.kill()
        self.process.communicate()
        os.close(self._ours)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], PATIENCE_SECONDS)[0]:
            return False
        try:
            data = os.read(self._ours, 4096)
        except OSError:  # Linux says so when the other end is closed.
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Open terminals that are closed after the test."""
    opened: list[Terminal] = []

    def run(*words: str, **env: str) -> Terminal:
        opened.append(Terminal(*words, **env))
        return opened[-1]

    yield run
    for one in opened:
        one.close()


def test_a_bar_moves_on_a_terminal(terminal: Callable[..., Terminal]) -> None:
    """A person would not see whether a long job gets on, or when it ends."""
    at = terminal("run", "tally", "steps=300", "step_seconds=0.005", "--slice-seconds", "0.5")
    at.await_text(r"\d\.\d%, .* %/s, 0:\d\d left, slice 1")
    at.await_text(r"slice 2")
    code, out = at.end()
    assert (code, out) == (0, "total=300\n")
    assert BAR in at.seen
    assert "100.0%, " in at.seen
    assert at.seen.count("\r\n") < 10, "each look is a line of its own"
    assert at.seen.endswith("\n") or at.seen.endswith("\x1b[?25h"), "the cursor is not given back"


def test_ctrl_c_on_a_terminal_leaves_it_clean(terminal: Callable[..., Terminal]) -> None:
    """A person would lose the cursor, or not see how to go on."""
    at = terminal("run", *LONG, "--job-id", "a")
    at.await_text("slice 1")
    at.process.send_signal(signal.SIGINT)
    assert at.end() == (130, "")
    assert "to go on: outlast run tally steps=10_000 step_seconds=0.005 --job-id a" in at.seen
    assert at.seen.rfind("\x1b[?25h") > at.seen.rfind("\x1b[?25l"), "the cursor stays hidden"


def test_a_dumb_terminal_gets_plain_lines(terminal: Callable[..., Terminal]) -> None:
    """An editor's console would be filled with control characters."""
    at = terminal("run", "tally", "steps=3", TERM="dumb")
    assert at.end() == (0, "total=3\n")
    assert "\x1b" not in at.seen
    assert BAR not in at.seen


def test_json_stays_pure_at_a_terminal(terminal: Callable[..., Terminal]) -> None:
    """`outlast run --json > file` at a terminal would mix the bar into the file."""
    at = terminal("run", "tally", "steps=3", "--json")
    code, out = at.end()
    assert code == 0
    assert out.startswith("{")
    assert BAR in at.seen
    assert BAR not in out


def test_a_pipe_gets_few_plain_lines(start: Callable[..., Process]) -> None:
    """A log would hold control characters, or ten lines a second."""
    process = start("run", "tally", "steps=300", "step_seconds=0.005", "--slice-seconds", "0.5")
    ended = process.end()
    assert ended.out == "total=300\n"
    assert "\x1b" not in ended.err
    assert "\r" not in ended.err
    lines = ended.err.splitlines()
    assert all(line.startswith("outlast: ") for line in lines)
    slices = [line for line in lines if re.search(r"slice \d+ ended at .*: (deadline|succ)", line)]
    assert len(slices) >= 3
    assert len(lines) <= len(slices) + 4


def test_a_reader_of_the_bar_that_leaves_does_not_hurt_the_job() -> None:
    """A job would fail because a terminal was closed."""
    gone, theirs = os.pipe()
    os.close(gone)
    done = subprocess.run(
        [OUTLAST, "run", "tally", "steps=3"], stdout=subprocess.PIPE, stderr=theirs, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stdout) == (0, b"total=3\n")
