"""Records of jobs for tests, and what they are made of."""

from __future__ import annotations

import hashlib
from typing import Any

from outlast.checkpoint.codec import HEAD, MAGIC
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import (
    Checkpoint,
    Guards,
    Lease,
    Notices,
    Pace,
    Revision,
    Usage,
    digest_of,
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
    return Checkpoint(state=state, digest=digest_of(state), **base | fields)


def record_bytes(head: bytes, states: bytes = b"") -> bytes:
    """Return the stored bytes of a record with this head, whose checksum fits whatever it says."""
    digest = hashlib.blake2b(head, digest_size=16).digest()
    return HEAD.pack(MAGIC, digest, len(head)) + head + states


# A record of a format that no version has yet: only its first bytes can be read.
NEWER = MAGIC[:-1] + b"9" + bytes(100)
