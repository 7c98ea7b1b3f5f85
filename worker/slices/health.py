"""Whether this worker can run kernels at all: a fault of its machine is not the fault of a job.

An error before the first step, of a kind that a broken machine raises, is not charged to the job:
the claim is taken back, and the record notes on which machine that was. A worker to which it
happens again and again ends, for another one to be started. Where the kernel has run before, or
where three machines had the same error, it is the job's after all.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from outlast.checkpoint.record_parts import MACHINES_IN_DOUBT
from outlast.kernel.errors import MachineFault
from outlast.worker.slices.backoff import backoff

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

# A disk, a cache, a library. What a network or a peer does is the same everywhere.
MACHINE_ERRORS = (MachineFault, ImportError, OSError, EOFError)
NETWORK_ERRORS = (ConnectionError, TimeoutError)
# These come from a machine even where the kernel has run before.
DISK_ERRORS = {
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

    def failed(self) -> None:
        """Note a fault of this machine."""
        self._faults += 1

    @property
    def is_broken(self) -> bool:
        """Whether this process should end, as one more attempt is unlikely to succeed."""
        return self._faults >= MOST_FAULTS

    @property
    def wait_seconds(self) -> float:
        """How long to wait before the next attempt."""
        return backoff(self._faults - 1, first=FIRST_WAIT_SECONDS, longest=LONGEST_WAIT_SECONDS)

    def is_to_blame(self, error: BaseException, record: Record, worker: str) -> bool:
        """Whether an error before the first step of a slice comes from this machine."""
        if not isinstance(error, MACHINE_ERRORS) or isinstance(error, NETWORK_ERRORS):
            return False
        is_certain = isinstance(error, MachineFault) or _errno_of(error) in DISK_ERRORS
        if record.kernel in self._proven and not is_certain:
            return False
        guards = record.guards.doubted(kind_of(error), worker)
        # With the first error that is charged, the question is decided.
        is_decided = guards.doubt == record.guards.doubt and guards.failures > 0
        return not is_decided and len(guards.doubters) < MACHINES_IN_DOUBT


def _errno_of(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def kind_of(error: BaseException) -> str:
    """Return by what two errors are the same: the message may name a path or a process."""
    return type(error).__name__
