"""How the job is cut whose parts this process works on."""

from __future__ import annotations

import json
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.errors import VersionConflict

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record


class Cut(NamedTuple):
    """How a job is cut into parts.

    Attributes:
        birth: which division this is.
        params: the job's parameters, as JSON text.
        plan: the kernel's plan, as JSON text.
        version: the version of the kernel that made it; 0: unknown.
        ranges: the first piece of each part, and the one after its last.
    """

    birth: str
    params: bytes
    plan: bytes
    version: int
    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, record: Record) -> Cut:
        """Return how the job is cut; without parts where it is not."""
        birth = record.fleet.birth if record.fleet and record.fleet.is_cut else None
        edges = accumulate(record.lengths, initial=0)
        params, plan = record.params_json.encode(), json.dumps(record.plan).encode()
        return cls(birth or "", params, plan, record.plan_version, tuple(pairwise(edges)))


class LastCut:
    """Remembers how one job is cut: the next part is most likely of that job, too."""

    def __init__(self) -> None:
        self._cut: tuple[str, Cut] | None = None

    def of(self, jobs: JobStore, job_id: str, birth: str) -> Cut:
        """Return how the job is cut in its division `birth`.

        Raises:
            VersionConflict: it is cut in another way by now, or not any more.
            UnknownJob, CorruptRecord, StoreUnavailable: as `JobStore.load`.
        """
        if self._cut is None or self._cut[0] != job_id or self._cut[1].birth != birth:
            self._cut = job_id, Cut.of(jobs.load(job_id).record)
        cut = self._cut[1]
        if cut.birth != birth:
            self._cut = None
            raise VersionConflict(f"job {job_id} is not cut any more as it was")
        return cut
