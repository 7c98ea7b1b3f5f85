"""Records as bytes: a head and a body that must verify, then the states, each on its own.

    magic   8 bytes   b"OUTLAST9"; the last one is the number of the format
    digest 16 bytes   BLAKE2b of the head
    size    4 bytes   of the head, big endian
    digest 16 bytes   of the body
    size    4 bytes   of the body
    head              JSON: the record's head, and how each of its states is kept
    body              JSON: parameters, history and result
    states            newest first, quarantined ones last; deflated where that pays

So the first bytes tell how many of them have the head, or all but the states. A flaw in a state
costs that state alone: it no longer has the checksum in the head, and the generation before it
serves.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, Field, NonNegativeInt, TypeAdapter, ValidationError

from outlast.checkpoint.errors import CorruptRecord, NewerRecord
from outlast.checkpoint.head import GENERATIONS, Body, Head
from outlast.checkpoint.packed import MAX_STATE_BYTES, Packed
from outlast.checkpoint.record import Record
from outlast.checkpoint.safe_text import first_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.checkpoint.record_parts import Checkpoint

# A change that makes a record unreadable to the versions before it takes the next number. From 2 on
# every later version reads each format that was ever released; tests/checkpoint/stored keeps one
# record of each.
MAGIC = b"OUTLAST9"
PREFIX = struct.Struct(">8s16sI16sI")
# Format 8 has no speed and no version of the plan, format 7 no lines of the kernel, format 6 no
# process in a lease, format 5 no weights of parts, format 4 no parts, format 3 no arrays either.
MAGICS = {MAGIC, *(b"OUTLAST%d" % number for number in range(3, 9))}
# Format 2 had the body in the head.
MAGIC_2 = b"OUTLAST2"
PREFIX_2 = struct.Struct(">8s16sI")
# Ours have a hundredth of it: one that claims more must not be read into memory.
MAX_HEAD_BYTES = 1 << 20
MAX_STATES = 2 * GENERATIONS


class CutShort(CorruptRecord):
    """The bytes end before the head does, or the body, which ends at `end`. Read so many."""

    def __init__(self, message: str, end: int = 0) -> None:
        super().__init__(message)
        self.end = end


class _Section(BaseModel):
    """How a state is kept: in `size` bytes that unpack to `unpacked`; None: as it was."""

    size: NonNegativeInt
    unpacked: Annotated[int, Field(ge=1, le=MAX_STATE_BYTES)] | None

    def packed(self, data: bytes) -> Packed:
        return Packed(data, self.unpacked or len(data), is_deflated=self.unpacked is not None)


class _Section2(BaseModel, defer_build=True):
    """How a state is kept in format 2: only unpacking it tells its length."""

    size: NonNegativeInt
    deflated: bool

    def packed(self, data: bytes) -> Packed:
        packed = Packed(data, MAX_STATE_BYTES, self.deflated)
        return packed._replace(size=len(packed.unpacked()))


class _Head(BaseModel):
    record: Head
    states: Annotated[tuple[_Section, ...], Field(max_length=MAX_STATES)]


class _Head2(BaseModel, defer_build=True):
    record: Record
    states: Annotated[tuple[_Section2, ...], Field(max_length=MAX_STATES)]


class _Prefix(NamedTuple):
    """What the first bytes tell: how to read the head, where head and body are, their checksums."""

    model: type[_Head | _Head2]
    head_begin: int
    head_end: int
    head_digest: bytes
    body_end: int
    body_digest: bytes


_BODY = TypeAdapter(Body)
# Copies of it are filled with what was validated, in a third of the time that pydantic takes to
# construct a record.
_BLANK = Record.model_construct(job_id="", kernel="", params={}, created_at=0.0, updated_at=0.0)


def encode(record: Record) -> bytes:
    """Return `record` as bytes that `decode` gives back.

    Raises:
        ValueError: its states were not read.
    """
    states = [checkpoint.packed for checkpoint in record.checkpoints + record.quarantine]
    sections = tuple(
        _Section(size=len(state.data), unpacked=state.size if state.is_deflated else None)
        for state in states
    )
    head = _Head(record=record, states=sections).model_dump_json().encode()
    body = _BODY.dump_json(record)
    prefix = PREFIX.pack(MAGIC, _digest(head), len(head), _digest(body), len(body))
    return b"".join([prefix, head, body, *(state.data for state in states)])


def decode(data: bytes) -> Record:
    """Return the record that `data` holds. No state is unpacked before it is asked for.

    A state that was damaged is kept as it is found, cut short where the bytes end;
    `Checkpoint.is_intact` tells.

    Raises:
        CorruptRecord: the bytes are not a record, of an unknown format, or the head or the body is
            damaged.
        NewerRecord: they are of a newer format.
    """
    prefix, head = _read_head(data)
    states = _read_states(data, prefix.body_end, head.states)
    kept = {
        "checkpoints": _with_states(head.record.checkpoints, states),
        "quarantine": _with_states(head.record.quarantine, states),
    }
    return _with_body(head.record, data, prefix, kept)


def decode_stateless(start: bytes) -> Record:
    """Return the record that begins with `start`; its states are not read.

    Raises:
        CutShort: the body goes on after `start`.
        CorruptRecord, NewerRecord: as `decode`.
    """
    prefix, head = _read_head(start)
    return _with_body(head.record, start, prefix, {})


def decode_head(start: bytes) -> Head:
    """Return the head of the record that begins with `start`; its states are not read.

    Raises:
        CutShort: the head goes on after `start`.
        CorruptRecord, NewerRecord: as `decode`.
    """
    _, head = _read_head(start)
    return head.record


def _read_prefix(data: bytes) -> _Prefix:
    magic = data[: len(MAGIC)]
    if len(data) < PREFIX_2.size or magic[:-1] != MAGIC[:-1]:
        raise CorruptRecord("not a record of Outlast: its first bytes are foreign")
    if magic == MAGIC_2:
        _, digest, size = PREFIX_2.unpack_from(data)
        end = PREFIX_2.size + size
        return _Prefix(_Head2, PREFIX_2.size, end, digest, end, b"")
    if magic not in MAGICS:
        raise _foreign_format(magic[-1:])
    if len(data) < PREFIX.size:
        raise CorruptRecord("a damaged record: it ends before its head")
    _, digest, size, body_digest, body_size = PREFIX.unpack_from(data)
    if size > MAX_HEAD_BYTES:
        raise CorruptRecord(f"not a record of Outlast: it claims a head of {size:,} bytes")
    end = PREFIX.size + size
    return _Prefix(_Head, PREFIX.size, end, digest, end + body_size, body_digest)


def _read_head(data: bytes) -> tuple[_Prefix, _Head | _Head2]:
    prefix = _read_prefix(data)
    text = _verified(data, prefix.head_begin, prefix.head_end, prefix.head_digest, "head")
    try:
        head = prefix.model.model_validate_json(text)
    except ValidationError as error:
        raise _misfit(error) from None
    if len(head.states) != len(head.record.checkpoints) + len(head.record.quarantine):
        raise CorruptRecord("not a record of this version: its states do not fit its checkpoints")
    return prefix, head


def _with_body(
    head: Head, data: bytes, prefix: _Prefix, kept: dict[str, tuple[Checkpoint, ...]]
) -> Record:
    """Return the record of this head, with these checkpoints in place of those in the head."""
    if isinstance(head, Record):  # as in format 2
        return head.model_copy(update=kept)
    text = _verified(data, prefix.head_end, prefix.body_end, prefix.body_digest, "body")
    try:
        body = _BODY.validate_json(text)
    except ValidationError as error:
        raise _misfit(error) from None
    return _BLANK.model_copy(update=head.__dict__ | body.__dict__ | kept)


def _verified(data: bytes, begin: int, end: int, digest: bytes, what: str) -> bytes:
    complaint = f"a damaged record: its {what} does not have its checksum"
    if len(data) < end:
        raise CutShort(complaint, end)
    text = data[begin:end]
    if _digest(text) != digest:
        raise CorruptRecord(complaint)
    return text


def _read_states(
    data: bytes, end: int, sections: Iterable[_Section | _Section2]
) -> Iterator[Packed]:
    for section in sections:
        begin, end = end, end + section.size
        yield section.packed(data[begin:end])


def _with_states(
    checkpoints: tuple[Checkpoint, ...], states: Iterator[Packed]
) -> tuple[Checkpoint, ...]:
    return tuple(checkpoint.with_state(next(states)) for checkpoint in checkpoints)


def _misfit(error: ValidationError) -> CorruptRecord:
    return CorruptRecord(f"not a record of this version: {first_error(error)}")


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


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()
