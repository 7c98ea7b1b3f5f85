"""Whether this worker can run kernels at all: a fault of its machine is not the fault of a job.

An error before the first step, of a kind that a broken machine raises, is not charged to the job:
the claim is taken back, and the record notes which worker had it. A worker to which it happens
again and again ends, for another one to be started. Where the kernel has run before, or where three
workers had the same error, it is the job's after all.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from outlast.checkpoint.record_parts import WORKERS_IN_DOUBT
from outlast.kernel.errors import MachineFault
from outlast.worker.slices.backoff import backoff

if TYPE_CHECKING:
    from outlast.checkpoint.record_parts import Guards

# What a network or a peer does is the same everywhere. Libraries for it derive their errors from
# OSError, most of them without a number.
NETWORK_ERRORS = (ConnectionError, TimeoutError, socket.gaierror, socket.herror)
NETWORK = {errno.EADDRNOTAVAIL, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH}
# These come from a machine even where the kernel has run before.
DISK = {
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENODEV,
    errno.ENOSPC,
    errno.EROFS,
    errno.ESTALE,
}

MOST_FAULTS = 3
# With this exit code a worker asks to be replaced: EX_TEMPFAIL of sysexits.h.
BROKEN = 75
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 60.0


class BrokenWorker(Exception):
    """This worker cannot run the job, and takes that for a fault of its machine.

    Nothing was charged to the job: leave the message to other workers, and try again later.
    """


class Health:
    """What a worker process has seen of its own faults."""

    def __init__(self) -> None:
        self._proven: set[str] = set()
        self._faults = 0

    def proved(self, kernel: str) -> None:
        """Note that a step of the kernel has succeeded here."""
        self._proven.add(kernel)
        self._faults = 0

    def fault(self, job_id: str, reason: str) -> BrokenWorker:
        """Note a fault of this machine, and return what is to be raised."""
        self._faults += 1
        return BrokenWorker(f"job {job_id} cannot begin here: {reason}")

    @property
    def is_broken(self) -> bool:
        """Whether this process should end, as one more attempt is unlikely to succeed."""
        return self._faults >= MOST_FAULTS

    @property
    def wait_seconds(self) -> float:
        """How long to wait before the next attempt."""
        return backoff(self._faults - 1, first=FIRST_WAIT_SECONDS, longest=LONGEST_WAIT_SECONDS)

    def is_suspect(self, error: BaseException, kernel: str) -> bool:
        """Whether an error before the first step of a slice may come from this machine."""
        if isinstance(error, MachineFault):
            return True
        if isinstance(error, OSError):
            if isinstance(error, NETWORK_ERRORS) or not error.errno or error.errno in NETWORK:
                return False
            return kernel not in self._proven or error.errno in DISK
        return isinstance(error, (ImportError, EOFError)) and kernel not in self._proven


def is_decided(error: BaseException, guards: Guards, worker: str) -> bool:
    """Whether enough workers, `worker` among them, had such an error: it is the job's."""
    doubters = guards.doubted(kind_of(error), worker).doubters
    return sum(not _is_started_anew(name, worker) for name in doubters) >= WORKERS_IN_DOUBT


def _is_started_anew(name: str, worker: str) -> bool:
    """Whether `name` is a worker of the same machine that has ended: it is no other witness."""
    host, _, pid = name.rpartition(":")
    if host != worker.rpartition(":")[0] or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)  # which only asks
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False


def kind_of(error: BaseException) -> str:
    """Return by what two errors are the same: the message may name a path or a process."""
    return type(error).__name__
