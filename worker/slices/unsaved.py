"""What a write of a claimed job stores: what was done since the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.checkpoint.record_parts import Checkpoint, Pace

if TYPE_CHECKING:
    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.record import Record
    from outlast.kernel.bulk import Bulk


class Snapshot(NamedTuple):
    """A state as it is to be stored.

    Attributes:
        text: its JSON.
        bulk: its arrays, which may change once the kernel goes on, unless they were copied.
        fields: what else its checkpoint says.
    """

    text: bytes
    bulk: Bulk
    fields: dict[str, Any]

    def checkpoint(self, chunks: tuple[Chunk, ...]) -> Checkpoint:
        """Return the checkpoint of this state, whose arrays are in these chunks."""
        return Checkpoint.of(self.text, chunks=chunks, **self.fields)


class Unsaved(NamedTuple):
    """Totals, what is lost, and a state if there is a new one.

    Attributes:
        steps, seconds, pace: totals; see `Work`.
        state_seconds: the time in the kernel until the state was there.
        snapshot: the state; None: there is no new one.
        chunks: where its arrays are, once they are there.
        redone: what is thrown away of the seconds.
    """

    steps: int
    seconds: float
    pace: Pace
    state_seconds: float = 0.0
    snapshot: Snapshot | None = None
    chunks: tuple[Chunk, ...] = ()
    redone: float = 0.0

    @property
    def state_bytes(self) -> int:
        """The size of the state's JSON."""
        return len(self.snapshot.text) if self.snapshot else 0

    def added_to(self, record: Record, now: float) -> Record:
        """Return the record with what was done, as it is stored at `now`."""
        # A save without an answer may have been stored: where no newer state is left, it counts.
        steps = max(self.steps, record.usage.steps)
        spent = record.spent(steps=steps, seconds=self.seconds, redone=self.redone, pace=self.pace)
        return spent.saved(self.snapshot.checkpoint(self.chunks), now) if self.snapshot else spent
