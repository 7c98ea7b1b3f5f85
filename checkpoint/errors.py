"""What can go wrong with stored progress; each class says what the caller should do.

There is no class for an interruption: a planned stop is not an error.
"""

from __future__ import annotations


class CheckpointError(Exception):
    """The root of this tree: catch it to print one line; its message names the thing at fault."""


class VersionConflict(CheckpointError):
    """Someone else wrote the key first, and nothing was written. Read again, then decide."""


class StoreUnavailable(CheckpointError):
    """The store did not answer or refused; a write may have happened. Back off and try again."""


class StoreFull(StoreUnavailable):
    """The store has no room for the value, and nothing was written. Make room: delete jobs."""


class StoreReplaced(StoreUnavailable):
    """The store's file was removed or replaced while in use. Start this process again."""


class UnknownJob(CheckpointError):
    """No job has this id. Correct the id, or submit the job."""


class DeletedJob(UnknownJob):
    """A person has deleted the job. A message for it has nothing left to do: ack it."""


class UnknownCheckpoint(CheckpointError):
    """The job has no checkpoint of this number. List those it has; only the last are kept."""


class JobExists(CheckpointError):
    """The id belongs to a job with other parameters. Choose another id."""


class InvalidJobId(CheckpointError):
    """The id has characters or a length that a store could misread. Choose another id."""


class InvalidTag(CheckpointError):
    """A tag has characters or a length that is not allowed, or there are too many. Change them."""


class WrongStatus(CheckpointError):
    """The job's status does not allow this move, and nothing was written. Check its status."""


class LeaseLost(CheckpointError):
    """Another worker holds the job, or it was cancelled. Stop, write nothing, send nothing."""


class CorruptRecord(CheckpointError):
    """The stored bytes are not a record of this format. Keep them to inspect; do not claim."""


class NewerRecord(CorruptRecord):
    """The record is of a newer format than this version reads, and sound. Leave it; upgrade."""


class CorruptCheckpoint(CheckpointError):
    """Neither generation of the checkpoint verifies. Keep both to inspect; fail the job."""


class StateTooLarge(CheckpointError):
    """The kernel's state is over the limit, and nothing was written. Fail the job."""


class NoBlobStore(CheckpointError):
    """A job has arrays, and no place for them is known here. Set OUTLAST_BLOBS."""


class InvalidStoreUrl(CheckpointError, ValueError):
    """The URL names no store of a known kind, and nothing was opened. Correct the setting."""
