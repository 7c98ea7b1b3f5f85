"""The records of a job's parts and groups, read and cleared; `JobStore` writes them."""

from __future__ import annotations

import re
from itertools import groupby, islice
from typing import TYPE_CHECKING, TypeVar

from outlast.checkpoint.codec import decode_head, decode_stateless
from outlast.checkpoint.fields import JOB_ID
from outlast.checkpoint.head import Head
from outlast.checkpoint.job_heads import (
    BODY_BYTES,
    HEAD_BYTES,
    decoded,
    require_owner,
    with_job_in_message,
)
from outlast.checkpoint.names import PARTS, node_key, nodes_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from outlast.checkpoint.fleet import Node
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Register

H = TypeVar("H", bound=Head)

CLEARED_AT_ONCE = 1000


class Nodes:
    """The parts and groups of a register's jobs.

    All methods raise StoreUnavailable where the register does. Those that read raise CorruptRecord
    where a value is not the record of that node.
    """

    def __init__(self, register: Register) -> None:
        self._register = register

    def heads(self, job_id: str, nodes: Sequence[Node]) -> list[Head | None]:
        """Return the heads of these nodes, all read together; None: it has no record."""
        return self._read(job_id, nodes, HEAD_BYTES, decode_head)

    def records(self, job_id: str, nodes: Sequence[Node]) -> list[Record | None]:
        """Return these nodes, all read together, without states; None: it has no record."""
        return self._read(job_id, nodes, BODY_BYTES, decode_stateless)

    def _read(
        self, job_id: str, nodes: Sequence[Node], limit_bytes: int, decode: Callable[[bytes], H]
    ) -> list[H | None]:
        keys = [node_key(job_id, node) for node in nodes]
        starts = self._register.peek(keys, limit_bytes)
        found: list[H | None] = []
        for key, node, start in zip(keys, nodes, starts, strict=True):
            with with_job_in_message(job_id):
                head = decoded(self._register, key, start, limit_bytes, decode)
                found.append(head and require_owner(head, job_id, node))
        return found

    def job_ids(self) -> Iterator[str]:
        """Yield the ids of all jobs that have parts or groups stored, each once."""
        ids = (key.removeprefix(PARTS).partition("/")[0] for key in self._register.keys(PARTS))
        yield from (job_id for job_id, _ in groupby(ids) if re.fullmatch(JOB_ID, job_id))

    def clear(self, job_id: str, birth: str | None = None) -> int:
        """Remove all parts and groups of one division of the job; None: of all; return how many."""
        prefix = nodes_prefix(job_id) + (f"{birth}/" if birth else "")
        return self._remove(self._register.keys(prefix))

    def clear_others(self, job_id: str, birth: Callable[[], str | None]) -> int:
        """Remove all parts and groups but those of one division; return how many there were.

        `birth` tells which one the job needs, None: none, and is asked after they were listed: so
        what is written meanwhile stays.
        """
        prefix = nodes_prefix(job_id)
        keys = list(self._register.keys(prefix))
        needed = birth()
        return self._remove(
            key for key in keys if needed is None or not key.startswith(f"{prefix}{needed}/")
        )

    def _remove(self, keys: Iterator[str]) -> int:
        count = 0
        while page := list(islice(keys, CLEARED_AT_ONCE)):
            self._register.remove(page)
            count += len(page)
        return count
