"""The names that people choose, job ids and tags, and the keys under which jobs are stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import InvalidJobId, InvalidTag
from outlast.checkpoint.fields import JOB_ID, TAG
from outlast.checkpoint.head import MAX_TAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.fleet import Node
    from outlast.checkpoint.head import Head

JOBS = "jobs/"
PARTS = "parts/"

_JOB_ID = re.compile(JOB_ID)


def job_key(job_id: str) -> str:
    """Return the register's key of a job.

    Raises:
        InvalidJobId: no job can have this id.
    """
    return JOBS + checked_id(job_id)


def record_key(record: Head) -> str:
    """Return the register's key of a job's record, or of one of its parts or groups."""
    return node_key(record.job_id, record.node) if record.node else job_key(record.job_id)


def node_key(job_id: str, node: Node) -> str:
    """Return the register's key of a part or group of a job."""
    return f"{nodes_prefix(job_id)}{node.path}"


def nodes_prefix(job_id: str) -> str:
    """Return what the keys of all parts and groups of a job begin with."""
    return f"{PARTS}{checked_id(job_id)}/"


def checked_id(job_id: str) -> str:
    """Return `job_id` if a job can have it.

    Raises:
        InvalidJobId: it could be misread in a key, a file name or a URL.
    """
    if not _JOB_ID.fullmatch(job_id):
        raise InvalidJobId(
            f"job id {job_id[:140]!r} cannot be used: take 1 to 128 letters, digits, '.', '_' or "
            "'-', beginning with a letter or digit"
        )
    return job_id


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return `tags` without repetitions, if a job can have them.

    Raises:
        InvalidTag: one could be misread on a command line or a page, or there are too many.
    """
    for tag in tags:
        if not re.fullmatch(TAG, tag):
            raise InvalidTag(
                f"tag {tag[:80]!r} cannot be used: take 1 to 64 letters, digits or '._:=/-', "
                "beginning with a letter or digit"
            )
    different = tuple(dict.fromkeys(tags))
    if len(different) > MAX_TAGS:
        raise InvalidTag(f"a job can have {MAX_TAGS} tags, not {len(different)}")
    return different
