"""A command at a pseudo-terminal, as a person sees it."""

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

from tests.cli.process import OUTLAST, PATIENCE_SECONDS


class Terminal:
    """A command at a pseudo-terminal; standard output goes to a pipe unless `whole`."""

    def __init__(
        self, *words: str, columns: int = 100, rows: int = 24, whole: bool = False, **env: str
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {
            name: os.environ[name] for name in os.environ if name not in {"NO_COLOR", "COLUMNS"}
        }
        self.process = subprocess.Popen(
            [OUTLAST, *words],
            stdin=theirs,
            stdout=theirs if whole else subprocess.PIPE,
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

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self._ours, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what went to standard output."""
        while self._read():
            pass
        out, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out

    def hang_up(self) -> None:
        """Close the window: nobody reads any more, and the command is told."""
        os.close(self._ours)
        self._ours = -1
        self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Give the terminal back."""
        self.process.kill()
        self.process.communicate()
        if self._ours >= 0:
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
