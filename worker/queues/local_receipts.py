"""The receipts of a machine's workers in files: the messages of a killed one are shown by others.

A queue on a server hides the message of a worker that was killed until its visibility ends: only
the machine knows that the worker is gone. So each worker keeps a file with its receipts, named
after its process, in a folder of its user and its queue. Where there is no such folder, or the
other workers have another user, another URL of the queue or a namespace of processes of their own,
as in a container, the message comes back at the end of its visibility.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.checkpoint.local_process import is_gone, this_process
from outlast.checkpoint.sqlite_url import sqlite_path
from outlast.worker.queues.contract import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outlast.worker.queues.contract import Queue

LOOK_SECONDS = 0.5
# What a machine had left when it went down is of no use to anybody.
STALE_SECONDS = 14 * 86_400.0
# A password may change while the queue is the same.
USER = re.compile(r"//[^/?#]*@")


class LocalReceipts:
    """The receipts of this process, and of the others in a folder."""

    def __init__(
        self, folder: Path, queue: Queue, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep them in `folder`, which this user alone can write, and which is for this queue."""
        self._queue = queue
        self._folder = folder
        self._clock = clock
        self._looked_at = -LOOK_SECONDS
        self._file: int | None = None

    def note(self, batch: Sequence[Delivery]) -> None:
        """Note that this process has these messages, and no others.

        Where the file cannot be written, nobody learns of them.
        """
        if self._file is None and not batch:
            return
        content = json.dumps([delivery.receipt for delivery in batch]) + "\n"
        with suppress(OSError):
            # In one step, over what was there: a kill leaves the one or the other.
            os.pwrite(self._opened(), content.encode(), 0)

    def _opened(self) -> int:
        """Return the open file, which is made anew where a tidy-up of the machine has removed it.

        Raises:
            OSError: it cannot be written, or others could write its folder.
        """
        if self._file is not None:
            if os.fstat(self._file).st_nlink:
                return self._file
            self.close()
        _make(self._folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        self._file = os.open(self._folder / this_process(), flags, 0o600)
        return self._file

    def show_lost(self) -> None:
        """Show the messages of processes that are gone; twice a second at most it looks for them.

        Raises:
            QueueUnavailable: some of them come back at the end of their visibility.
        """
        now = self._clock()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        with suppress(OSError):
            for path in list(self._folder.iterdir()):
                if is_gone(path.name):
                    self._show(path)

    def _show(self, path: Path) -> None:
        content = path.read_bytes()
        path.unlink()  # Of several workers that look, one can do this.
        for receipt in _receipts_in(content):
            self._queue.hide(Delivery("", receipt), 0)

    def close(self) -> None:
        """Remove what this process has noted; a later note begins anew."""
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        with suppress(OSError):
            (self._folder / this_process()).unlink()


def local_receipts(url: str, queue: Queue) -> LocalReceipts | None:
    """Return the receipts of the queue at `url`; None: nobody can be told by them, or need be.

    The embedded queue itself knows who has its messages.
    """
    if sqlite_path(url) or not this_process():
        return None
    folder = Path(tempfile.gettempdir(), f"outlast-workers-{os.getuid()}")
    name = blake2b(USER.sub("//", url, count=1).encode(), digest_size=8).hexdigest()
    try:
        _make(folder / name)
    except OSError:
        return None
    _remove_stale(folder)
    return LocalReceipts(folder / name, queue)


def _make(folder: Path) -> None:
    """Make the folder and the one it is in, if they are not there.

    Raises:
        OSError: it cannot be made, or others have made it or can write there: it is in the place
            for temporary files, where anyone may do that.
    """
    for path in (folder.parent, folder):
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
        is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if not is_own or status.st_mode & 0o022:
            raise PermissionError(f"{path} can be written by others")


def _remove_stale(place: Path) -> None:
    """Remove the files of earlier boots, and empty folders, that nobody has written for long."""
    machine, oldest = this_process().rpartition("#")[0], time.time() - STALE_SECONDS
    with suppress(OSError):
        for folder in list(place.iterdir()):
            is_old = folder.stat().st_mtime < oldest
            for path in list(folder.iterdir()):
                is_foreign = path.name.rpartition("#")[0] != machine
                if is_foreign and path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
            if is_old:
                with suppress(OSError):  # It is not empty.
                    folder.rmdir()


def _receipts_in(content: bytes) -> list[str]:
    """Return the receipts in a file; what a longer note before has left follows its first line."""
    try:
        receipts = json.loads(content.partition(b"\n")[0])
    except ValueError:
        return []
    return receipts if isinstance(receipts, list) else []
