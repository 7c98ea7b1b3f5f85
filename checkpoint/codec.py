"""Records as bytes: a head that must verify, then the states, each on its own.

    magic   8 bytes   b"OUTLAST1"; the last one is the format's version
    digest 16 bytes   BLAKE2b of the head
    size    4 bytes   of the head, big endian
    head              the record as JSON, without the states
    then for each checkpoint, quarantined ones last:
    packed  1 byte    1 if the state is deflated, 0 if it is as it was
    size    8 bytes   of what follows, big endian
    state

A flaw in a state costs that state alone: it no longer has the checksum in the head, and the
generation before it serves.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING

from pydantic import ValidationError

from checkpoint.errors import CorruptRecord
from checkpoint.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from checkpoint.record import Checkpoint

MAGIC = b"OUTLAST1"
HEAD = struct.Struct(">8s16sI")
STATE = struct.Struct(">BQ")

# A shorter state is not worth the time; a bigger one on unpacking is not one of ours.
PACK_FROM_BYTES = 1024
MAX_STATE_BYTES = 1 << 30


def encode(record: Record) -> bytes:
    """Return `record` as bytes that `decode` gives back."""
    head = record.model_dump_json().encode()
    parts = [HEAD.pack(MAGIC, _digest(head), len(head)), head]
    for checkpoint in record.checkpoints + record.quarantine:
        packed, state = _pack(checkpoint.state)
        parts += [STATE.pack(packed, len(state)), state]
    return b"".join(parts)


def decode(data: bytes) -> Record:
    """Return the record that `data` holds.

    A state that was damaged is returned as it is found, or empty where it cannot be found at all;
    `Checkpoint.is_intact` tells.

    Raises:
        CorruptRecord: the bytes are not a record, of a newer format, or the head is damaged.
    """
    head, rest = _split(data)
    try:
        record = Record.model_validate_json(head)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "record"
        raise CorruptRecord(f"not a record of this version: {where}: {first['msg']}") from None
    states = _states(rest)
    return record.model_copy(
        update={
            "checkpoints": _attach(record.checkpoints, states),
            "quarantine": _attach(record.quarantine, states),
        }
    )


def _split(data: bytes) -> tuple[bytes, memoryview]:
    if len(data) < HEAD.size or not data.startswith(MAGIC[:-1]):
        raise CorruptRecord("not a record of Outlast: its first bytes are foreign")
    magic, digest, size = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise CorruptRecord(
            f"a record of format {magic[-1:]!r}: this version reads {MAGIC[-1:]!r}; upgrade Outlast"
        )
    head = data[HEAD.size : HEAD.size + size]
    if _digest(head) != digest:
        raise CorruptRecord("a damaged record: its head does not have its checksum")
    return head, memoryview(data)[HEAD.size + size :]


def _states(rest: memoryview) -> Iterator[bytes]:
    """Yield the states in `rest`, and then empty ones for ever."""
    while len(rest) >= STATE.size:
        packed, size = STATE.unpack_from(rest)
        yield _unpack(bytes(rest[STATE.size : STATE.size + size]), packed=packed)
        rest = rest[STATE.size + size :]
    while True:
        yield b""


def _attach(found: tuple[Checkpoint, ...], states: Iterator[bytes]) -> tuple[Checkpoint, ...]:
    return tuple(c.model_copy(update={"state": next(states)}) for c in found)


def _pack(state: bytes) -> tuple[int, bytes]:
    if len(state) < PACK_FROM_BYTES:
        return 0, state
    packed = zlib.compress(state, level=1)
    return (1, packed) if len(packed) < len(state) else (0, state)


def _unpack(state: bytes, *, packed: int) -> bytes:
    """Undo `_pack`; what cannot be unpacked is returned as it is, for inspection."""
    if packed != 1:
        return state
    try:
        return zlib.decompressobj().decompress(state, MAX_STATE_BYTES)
    except zlib.error:
        return state


def _digest(head: bytes) -> bytes:
    return hashlib.blake2b(head, digest_size=16).digest()
