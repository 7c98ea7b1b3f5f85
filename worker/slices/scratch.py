"""The scratch folder of a slice: made when its kernel first asks for it, removed with the slice.

Who makes it keeps it locked, which ends with the process. One that is not locked was left by a
process that was killed; it is removed when the next one on the machine is made.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

PREFIX = "outlast-scratch-"
# A folder that is made is locked a moment later.
MOMENT_SECONDS = 60.0


class Scratch:
    """A folder that is not there yet; a call makes it. It may be sent to a child process."""

    def __init__(self) -> None:
        self._name = f"{PREFIX}{secrets.token_hex(8)}"
        self._lock: int | None = None

    def __call__(self) -> Path:
        """Make the folder and return it.

        Raises:
            OSError: there is no place for it.
        """
        parent = Path(tempfile.gettempdir())
        _remove_abandoned(parent)
        path = parent / self._name
        try:
            path.mkdir(mode=0o700)
            self._lock = os.open(path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        except OSError as error:
            why = f"{os.strerror(error.errno or 0)}: no scratch folder here, set TMPDIR to another"
            raise OSError(error.errno, why, str(path)) from error
        return path

    def remove(self, *, elsewhere: bool) -> None:
        """Remove the folder if there is one; `elsewhere`: another process may have made it."""
        if self._lock is not None:
            os.close(self._lock)
        if elsewhere or self._lock is not None:
            with suppress(OSError):  # there is no place for any
                rmtree(Path(tempfile.gettempdir(), self._name), ignore_errors=True)
        self._lock = None


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that have ended without doing so."""
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is in use, or another's
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                found = os.fstat(lock)
                if found.st_uid == os.getuid() and found.st_mtime < time.time() - MOMENT_SECONDS:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
