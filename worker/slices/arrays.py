"""The arrays of a claimed job on their way to where they are kept."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.blobs.contract import CHOOSE_PLACE, CHUNK_BYTES
from outlast.checkpoint.blobs.deletion import Deletion
from outlast.checkpoint.blobs.sending import THREADS_ALONE, Sending
from outlast.checkpoint.errors import StateTooLarge
from outlast.kernel.bulk import new_row
from outlast.worker.slices.kernel_output import Unusable
from outlast.worker.slices.memory import available_bytes
from outlast.worker.slices.timing import longest_lately

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.blobs.contract import BlobStore, Chunk
    from outlast.checkpoint.record import Record
    from outlast.kernel.bulk import Bulk
    from outlast.worker.slices.unsaved import Snapshot, Unsaved
    from outlast.worker.slices.worker_process import WorkerProcess

# What is left to others where a state is copied, so that it is sent while the kernel goes on.
SPARE_BYTES = 64 << 20


class NoPlace(Unusable):
    """The worker has no place for arrays. Set one, and retry the job."""

    def __init__(self) -> None:
        super().__init__(f"there is no place for its arrays: {CHOOSE_PLACE}")


def _note_nothing() -> None:
    """Do nothing."""


class _Transfer(NamedTuple):
    """Work whose arrays are being sent."""

    work: Unsaved
    sending: Sending


class Arrays:
    """Sends the arrays of one job: those of a state while its kernel goes on, or all at once.

    Attributes:
        expected_bytes: how much the next save is likely to send; None: it is not known.
        sending_seconds: how long the end of the slice took to send arrays.
    """

    def __init__(self, process: WorkerProcess, name: str, note_life: Callable[[], object]) -> None:
        """Prepare; `name` is that of the claim, which no other one has.

        `note_life` is called before each chunk that is sent, on any thread.
        """
        self.expected_bytes: int | None = None
        self.sending_seconds = 0.0
        self._process = process
        self._name, self._numbers = name, count(1)
        self._note_life = note_life
        self._row = new_row(0)
        self._transfer: _Transfer | None = None
        self._unused: dict[str, Chunk] = {}  # sent, but listed in no record that was stored
        self._deletion: Deletion | None = None
        self._is_stored = False  # of the last write
        self._has_sent = False
        self._begun_at = self._chunk_at = self._ended_at = 0.0

    def expect(self, bulk_bytes: int) -> None:
        """Take all arrays for what is to be sent, until a save shows what has changed."""
        if not self._has_sent:
            self.expected_bytes = bulk_bytes

    def look(self) -> None:
        """Learn from what is under way how long the last save of the slice may take."""
        if self._transfer is None:
            return
        sent, until = self._transfer.sending.sent_bytes, self._chunk_at
        if sent:
            self._process.timing.sees_sending(until - self._begun_at, sent)
        # The chunk at hand may be as good as sent, or take for ever.
        seconds = self._process.clock() - self._begun_at
        self._process.timing.sees_sending(seconds, sent + CHUNK_BYTES)

    @property
    def is_done(self) -> bool:
        """Whether all of what is under way is there, or cannot be."""
        return self._transfer is not None and self._transfer.sending.is_done

    @property
    def under_way(self) -> Unsaved | None:
        """The work whose arrays are being sent; None: none is."""
        return self._transfer and self._transfer.work

    def begin(self, work: Unsaved, snapshot: Snapshot, record: Record) -> None:
        """Copy the arrays of a state, and send them on a thread while the kernel goes on.

        Where there is no memory for the copy, they are sent before this returns.

        Raises:
            NoPlace: there is none.
            StateTooLarge: they are over the limit.
            StoreUnavailable: the place does not answer.
        """
        bulk = snapshot.bulk
        copy = bulk if bulk.is_copy else self._copied(bulk)
        sending = self._prepare(copy or bulk, record)
        sending.start(1 if copy else THREADS_ALONE, on_end=self._note_end)
        work = work._replace(snapshot=snapshot._replace(bulk=copy or bulk))
        self._transfer = _Transfer(work, sending)
        if copy is None:
            sending.wait()

    def _copied(self, bulk: Bulk) -> Bulk | None:
        """Return a copy of these arrays in memory that is kept for that; None: there is no room."""
        row = self.row(bulk.size)
        return None if row is None else bulk.copied_to(row)

    def row(self, size: int) -> memoryview | None:
        """Return so much of the memory that is kept for copies; None: there is not as much."""
        if size > len(self._row):
            self._row = new_row(0)
            if size + SPARE_BYTES > available_bytes():
                return None
            with suppress(OSError):  # The system gives no more.
                self._row = new_row(size)
        return self._row[:size] if size <= len(self._row) else None

    def finish(self) -> Unsaved:
        """Return what is under way with its chunks, once all of them are there.

        Raises:
            StoreUnavailable: they are not, and nothing is under way any more.
        """
        transfer, self._transfer = self._transfer, None
        if transfer is None:
            raise ValueError("nothing is under way")
        return transfer.work._replace(chunks=self._received(transfer.sending))

    def send(self, bulk: Bulk, record: Record) -> tuple[Chunk, ...]:
        """Send arrays that do not change meanwhile, as quickly as can be.

        Raises:
            NoPlace, StateTooLarge, StoreUnavailable: as `begin`.
        """
        sending = self._prepare(bulk, record)
        sending.start(THREADS_ALONE, on_end=self._note_end)
        chunks = self._received(sending)
        self.sending_seconds += self._ended_at - self._begun_at
        return chunks

    def stop(self) -> None:
        """Let go of what is under way; what was sent of it serves the next save."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.sending.stop()
            self._unused |= transfer.sending.sent

    def added_to(self, record: Record) -> Record:
        """Note in the record which of its dropped chunks were deleted."""
        return record.forgot(self._deletion.deleted()) if self._deletion else record

    def writes(self) -> None:
        """Note that a write is under way: until it has an answer, it may be stored or not."""
        self._is_stored = False

    def stored(self, record: Record) -> None:
        """Note that `record` was stored: what it lists is in use, or waits to be deleted."""
        self._is_stored = True
        if self._unused:
            listed = record.chunks.keys() | {dropped.name for dropped in record.dropped}
            unused = self._unused.items()
            self._unused = {d: chunk for d, chunk in unused if chunk.name not in listed}

    def close(self) -> None:
        """Stop, and delete what was sent in vain; that of a write without an answer stays."""
        self.stop()
        if self._is_stored and self._unused and self._process.blobs is not None:
            Deletion(self._process.blobs, [c.name for c in self._unused.values()])
        self._note_life = _note_nothing  # The job's method: in a circle both would stay for long.

    def _prepare(self, bulk: Bulk, record: Record) -> Sending:
        """Return what sends these arrays, and begin to delete what nobody needs any more."""
        blobs, jobs = self._require(bulk), self._process.jobs
        if self._deletion is None or self._deletion.is_done:
            self._deletion = Deletion(blobs, record.ripe(jobs.clock(), jobs.forgets_seconds))
        kept = [chunk for checkpoint in record.checkpoints for chunk in checkpoint.chunks]
        known = self._unused | {chunk.digest: chunk for chunk in kept}
        self._begun_at = self._process.clock()
        return Sending(blobs, bulk, known, self._new_name)

    def _new_name(self) -> str:
        self._note_life()
        self._chunk_at = self._process.clock()
        return f"{self._name}/{next(self._numbers)}"

    def _note_end(self) -> None:
        self._ended_at = self._process.clock()

    def _require(self, bulk: Bulk) -> BlobStore:
        limit = self._process.max_blob_bytes
        if bulk.size > limit:
            raise StateTooLarge(
                f"its arrays of {bulk.size:,} bytes are over the limit of {limit:,}: raise "
                "OUTLAST_MAX_BLOB_BYTES on all workers, and retry the job"
            )
        if self._process.blobs is None:
            raise NoPlace
        return self._process.blobs

    def _received(self, sending: Sending) -> tuple[Chunk, ...]:
        """Wait for what is being sent, and learn from it."""
        try:
            chunks = sending.chunks()
        finally:
            self._unused |= sending.sent
        sent = sending.sent_bytes
        # Not until now: the kernel may have been in the middle of a step.
        self._process.timing.saw_sending(self._ended_at - self._begun_at, sent)
        before = self.expected_bytes if self._has_sent and self.expected_bytes else 0
        self.expected_bytes = int(longest_lately(before, sent, is_first=True))
        self._has_sent = True
        return chunks
