"""Records as bytes: a head that must verify, then the states, each on its own.

    magic   8 bytes   b"OUTLAST2"; the last one is the number of the format
    digest 16 bytes   BLAKE2b of the head
    size    4 bytes   of the head, big endian
    head              JSON: the record without its states, and how each of them is kept
    states            newest first, quarantined ones last; deflated where that pays

A flaw in a state costs that state alone: it no longer has the checksum in the head, and the
generation before it serves.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING

from pydantic import BaseModel, NonNegativeInt, ValidationError

from outlast.checkpoint.errors import CorruptRecord, NewerRecord
from outlast.checkpoint.record import Record
from outlast.checkpoint.safe_text import first_error

if TYPE_CHECKING:
    from outlast.checkpoint.record_parts import Checkpoint

# A change that makes a record unreadable to the versions before it takes the next number. From 2 on
# every later version reads each format that was ever released; tests/checkpoint/stored keeps one
# record of each.
MAGIC = b"OUTLAST2"
HEAD = struct.Struct(">8s16sI")

# A shorter state is not worth the time; one that unpacks to more than a worker may be told to
# accept is not one of ours, and must not take the memory of whoever looks at it.
PACK_FROM_BYTES = 1024
MAX_STATE_BYTES = 128 << 20


class _Stored(BaseModel):
    """How a state is kept: in `size` bytes, deflated or as it was."""

    size: NonNegativeInt
    deflated: bool


class _Head(BaseModel):
    record: Record
    states: tuple[_Stored, ...]


def encode(record: Record) -> bytes:
    """Return `record` as bytes that `decode` gives back."""
    checkpoints = record.checkpoints + record.quarantine
    states = [_pack(checkpoint.state) for checkpoint in checkpoints]
    stored = tuple(
        _Stored(size=len(state), deflated=state is not checkpoint.state)
        for state, checkpoint in zip(states, checkpoints, strict=True)
    )
    head = _Head(record=record, states=stored).model_dump_json().encode()
    return b"".join([HEAD.pack(MAGIC, _digest(head), len(head)), head, *states])


def decode(data: bytes) -> Record:
    """Return the record that `data` holds.

    A state that was damaged is returned as it is found, cut short where the bytes end;
    `Checkpoint.is_intact` tells.

    Raises:
        CorruptRecord: the bytes are not a record, of an unknown format, or the head is damaged.
        NewerRecord: they are of a newer format.
    """
    head, end = _read_head(data)
    record, count = head.record, len(head.record.checkpoints)
    states = []
    for stored in head.states:
        state, end = data[end : end + stored.size], end + stored.size
        states.append(_inflate(state) if stored.deflated else state)
    return record.model_copy(
        update={
            "checkpoints": _attach(record.checkpoints, states[:count]),
            "quarantine": _attach(record.quarantine, states[count:]),
        }
    )


def decode_head(start: bytes) -> Record | None:
    """Return the record whose first bytes are `start`, its states left empty.

    None where its head is longer than `start`; a whole value is never so short, unless damaged.

    Raises:
        CorruptRecord: as `decode`.
    """
    if _end_of_head(start) > len(start):
        return None
    head, _ = _read_head(start)
    return head.record


def _read_head(data: bytes) -> tuple[_Head, int]:
    """Return the head, verified, and where it ends."""
    end = _end_of_head(data)
    _, digest, _ = HEAD.unpack_from(data)
    text = data[HEAD.size : end]
    if _digest(text) != digest:
        raise CorruptRecord("a damaged record: its head does not have its checksum")
    try:
        head = _Head.model_validate_json(text)
    except ValidationError as error:
        raise CorruptRecord(f"not a record of this version: {first_error(error)}") from None
    if len(head.states) != len(head.record.checkpoints) + len(head.record.quarantine):
        raise CorruptRecord("not a record of this version: its states do not fit its checkpoints")
    return head, end


def _end_of_head(data: bytes) -> int:
    if len(data) < HEAD.size or not data.startswith(MAGIC[:-1]):
        raise CorruptRecord("not a record of Outlast: its first bytes are foreign")
    magic, _, size = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise _foreign_format(magic[-1:])
    return HEAD.size + int(size)


def _foreign_format(number: bytes) -> CorruptRecord:
    theirs, ours = number.decode("latin-1"), MAGIC[-1:].decode()
    if number < MAGIC[-1:]:
        return CorruptRecord(
            f"a record of format {theirs!r}, from before the first release: this version reads "
            f"{ours!r}; end or delete the job with the version that wrote it"
        )
    return NewerRecord(
        f"a record of format {theirs!r}: this version reads {ours!r}; upgrade Outlast"
    )


def _attach(checkpoints: tuple[Checkpoint, ...], states: list[bytes]) -> tuple[Checkpoint, ...]:
    return tuple(
        checkpoint.model_copy(update={"state": state})
        for checkpoint, state in zip(checkpoints, states, strict=True)
    )


def _pack(state: bytes) -> bytes:
    """Return `state` deflated, or the same object where that would not make it shorter."""
    if len(state) < PACK_FROM_BYTES:
        return state
    packed = zlib.compress(state, level=1)
    return packed if len(packed) < len(state) else state


def _inflate(packed: bytes) -> bytes:
    """Undo `_pack`; what cannot be inflated is returned as it is, for inspection."""
    try:
        return zlib.decompressobj().decompress(packed, MAX_STATE_BYTES)
    except zlib.error:
        return packed


def _digest(head: bytes) -> bytes:
    return hashlib.blake2b(head, digest_size=16).digest()
