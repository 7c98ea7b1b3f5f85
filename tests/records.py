"""Records of jobs for tests, and what they are made of."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from outlast.checkpoint.codec import MAGIC, PREFIX
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import (
    Checkpoint,
    Guards,
    Lease,
    Notices,
    Pace,
    Revision,
    Usage,
)

BASE = {"job_id": "a", "kernel": "k", "params": {}, "created_at": 1.0, "updated_at": 1.0}
GROUPS = {"guards": Guards, "notices": Notices, "pace": Pace, "revision": Revision, "usage": Usage}


def job(**fields: Any) -> Record:
    """Return a new job with these fields, as they would be read from a store."""
    return Record.model_validate(dict(changed(Record(**BASE), **fields)))


def changed(record: Record, **fields: Any) -> Record:
    """Return `record` with these fields changed; each name is the record's own or a group's."""
    for name, value in fields.items():
        group = next((g for g, model in GROUPS.items() if name in model.model_fields), None)
        if group is None:
            assert name in Record.model_fields, name
            record = record.model_copy(update={name: value})
        else:
            part = getattr(record, group).model_copy(update={name: value})
            record = record.model_copy(update={group: part})
    return record


def flat(record: Record) -> dict[str, Any]:
    """Return all fields of the record, those of a group by their own names."""
    fields = dict(record)
    for group in GROUPS:
        fields |= dict(fields.pop(group))
    return fields


def lease(at: float = 100.0, *, seconds: float = 10.0, **fields: Any) -> Lease:
    """Return a lease of so many seconds from `at` on."""
    base = {"worker": "w", "token": "t", "at_risk_seconds": 7.0}
    return Lease(**base | fields, claimed_at=at, expires_at=at + seconds, seconds=seconds)


def checkpoint(state: bytes = b"{}", **fields: Any) -> Checkpoint:
    """Return a checkpoint of this state, with its checksum."""
    base = {"version": 1, "sequence": 1, "slice": 1, "progress": 0.25, "saved_at": 101.0}
    return Checkpoint.of(state, **base | fields)


class RecordBytes(NamedTuple):
    """The parts of a record as it is stored, after its first bytes."""

    head: bytes
    body: bytes
    states: bytes

    @classmethod
    def of(cls, value: bytes) -> RecordBytes:
        """Return the parts of a stored record."""
        _, _, head, _, body = PREFIX.unpack_from(value)
        begin, end = PREFIX.size + head, PREFIX.size + head + body
        return cls(value[PREFIX.size : begin], value[begin:end], value[end:])

    def joined(self) -> bytes:
        """Return a stored record with these parts, whose checksums fit whatever they say."""
        of_head, of_body = (hashlib.blake2b(part, digest_size=16).digest() for part in self[:2])
        prefix = PREFIX.pack(MAGIC, of_head, len(self.head), of_body, len(self.body))
        return prefix + b"".join(self)


def with_damaged_state(value: bytes) -> bytes:
    """Return the stored record with one bit of its newest state turned."""
    changed = bytearray(value)
    changed[-len(RecordBytes.of(value).states)] ^= 1
    return bytes(changed)


# A record of a format that no version has yet: only its first bytes can be read.
NEWER_MAGIC = MAGIC[:-1] + bytes([MAGIC[-1] + 1])
NEWER = NEWER_MAGIC + bytes(100)
