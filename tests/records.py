"""Records of jobs for tests, with a field of any group changed by its own name."""

from __future__ import annotations

from typing import Any

from outlast.checkpoint.parts import Guards, Notices, Revision, Usage
from outlast.checkpoint.record import Record

BASE = {"job_id": "a", "kernel": "k", "params": {}, "created_at": 1.0, "updated_at": 1.0}
GROUPS = {"guards": Guards, "notices": Notices, "revision": Revision, "usage": Usage}


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
