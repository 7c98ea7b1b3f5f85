"""A part of a job that this worker has claimed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable, UnknownJob
from outlast.checkpoint.status import Status
from outlast.kernel.bulk import Bulk, Stored
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.fleet.part_kernel import divisible
from outlast.worker.slices.fleet.plan import plan_of
from outlast.worker.slices.leased_job import JobMoved
from outlast.worker.slices.loading import require_packages

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.checkpoint.fleet import Node
    from outlast.worker.slices.fleet.last_cut import Cut
    from outlast.worker.slices.unsaved import Unsaved


class ClaimedPart(ClaimedJob):
    """The part, its computation, and the work on it that is not stored yet.

    After every save it looks at the job: what a person does to that reaches its parts so.
    """

    _job_status = Status.RUNNING

    @property
    def is_paused(self) -> bool:
        """Whether the job goes on later, if at all."""
        return self._job_status in {Status.PAUSED, Status.FAILED}

    def require_packages(self, params: BaseModel) -> None:  # noqa: ARG002 - they are the part's
        """Ask the whole kernel, with the parameters of the job."""
        whole = self.process.kernels(self.record.kernel)
        require_packages(whole, Stored(self._cut.params, Bulk()))

    @cached_property
    def stored_params(self) -> Stored:
        """The plan, and which pieces the part has.

        Raises:
            VersionConflict: the job is not cut like that any more.
            NewerState, Unreadable: as `plan_of`.
        """
        cut, record = self._cut, self.record
        ends = cut.ranges[self._node.number]
        plan_of(divisible(self.process.kernels(record.kernel)), cut, record.job_id)
        return Stored(b'{"plan":%b,"first":%d,"last":%d}' % (cut.plan, *ends), Bulk())

    @property
    def _cut(self) -> Cut:
        process, job_id = self.process, self.record.job_id
        return process.last_cut.of(process.jobs, job_id, self._node.birth)

    @property
    def _node(self) -> Node:
        if self.record.node is None:
            raise ValueError("the record of a job, and not of a part")
        return self.record.node

    def _store(self, work: Unsaved) -> None:
        super()._store(work)
        self._look_at_job()

    def _look_at_job(self) -> None:
        """Find out whether the job still wants its parts.

        Raises:
            JobMoved: it does not.
        """
        try:
            job = self.process.jobs.head_of(self.record.job_id)
        except StoreUnavailable:
            return  # The next save is early enough.
        except UnknownJob:
            raise JobMoved from None
        if not job.needs_parts_of(self._node.birth):
            raise JobMoved
        self._job_status = job.status
