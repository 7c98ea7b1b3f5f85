"""The groups that a part completes, added up from it towards the job.

    for each group, upwards: its children have all succeeded -> send the messages of the group of
    parts that is open from here on -> write its record
    at the top: combine -> conclude -> write the job -> remove all records of parts and groups

Nobody holds a lease for this. A group's record is written once, as a write that must find nothing;
one that is there has the same value, so workers that are at it together do not disturb each other.
The messages come before the record: after a crash in between, what comes back sends them again.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from functools import cached_property, reduce
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.contract import DamagedChunk
from outlast.checkpoint.errors import (
    CorruptRecord,
    StateTooLarge,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.fleet import Place, Tree
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint, Usage
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey, sum_of
from outlast.kernel import NonRetryable, UnknownKernel
from outlast.kernel.bulk import Bulk, Stored, loaded
from outlast.worker.queues.message import Message
from outlast.worker.slices.arrays import Arrays
from outlast.worker.slices.failure import ONLY_REPEAT
from outlast.worker.slices.fleet.failing import count_error, fail_job, forget_errors
from outlast.worker.slices.fleet.part_kernel import divisible, part_kernel
from outlast.worker.slices.fleet.plan import plan_of
from outlast.worker.slices.kernel_errors import described
from outlast.worker.slices.kernel_output import stored_result, stored_state
from outlast.worker.slices.loading import NewerState, require_packages
from outlast.worker.slices.reading import Unreadable, read_chunks
from outlast.worker.telemetry.job_events import tell_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.fleet import Fleet, Node
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import StoredJob
    from outlast.kernel.parts import AnyDivisible
    from outlast.worker.slices.fleet.last_cut import Cut
    from outlast.worker.slices.worker_process import WorkerProcess

# So many children are read together, the last ones first: one that has not succeeded ends it.
CHILDREN_AT_ONCE = 4
# Another attempt may come to something else, here or elsewhere.
NOT_THE_JOBS = (
    CorruptRecord,
    NewerState,
    StoreUnavailable,
    UnknownJob,
    UnknownKernel,
    VersionConflict,
)


class AddLater(Exception):
    """The kernel has raised an error, and may not do so another time.

    Attributes:
        seconds: when it is to be tried again.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"to be added up in {seconds:g} s")
        self.seconds = seconds


class AddingUp:
    """Adds up parts of one job."""

    def __init__(self, process: WorkerProcess, job: Head) -> None:
        """Add up parts of the job, which is cut and whose head is `job`."""
        if job.fleet is None:
            raise ValueError(f"job {job.job_id} is not shared by several workers")
        self._process = process
        self._job = job
        self._fleet: Fleet = job.fleet
        self._tree = Tree(job.fleet.parts)
        self._damaged: Node | None = None

    def from_part(self, part: Node, *, is_lost: bool = False) -> StoredJob | None:
        """Add up what the part completes; return the job if that was all of it, or it is given up.

        `is_lost`: the store has lost the part's record, and a group above it may have one all the
        same.

        Raises:
            StoreUnavailable, QueueUnavailable: some of it may be done; do it again.
            AddLater: do it again after a while.
            BrokenWorker, UnknownKernel: this worker cannot.
        """
        above = self._tree.above(part.place)
        for place in above[self._recorded(above) :] if is_lost else above:
            children = self._children(place)
            if children is None:
                return None
            if self._heads([place])[0] is not None:
                continue  # Someone else has added it up.
            self._require_packages()
            if place.level == 1 and (reason := self._send_next(place.number, children)):
                return self._fail(reason)
            try:
                self._write(place, children)
            except Exception as error:  # noqa: BLE001 - a foreign kernel may raise anything
                return self._fail_for(error)
            if self._job.guards.failures:
                forget_errors(self._process, self._job.job_id, self._fleet.birth)
        children = self._children(self._tree.top)
        if children is None:
            return None
        self._require_packages()
        return self._conclude(children)

    def _require_packages(self) -> None:
        """Leave it to other workers, if this one has not got what the kernel needs.

        Raises:
            UnknownKernel: that is so.
        """
        require_packages(self._kernel, Stored(self._cut.params, Bulk()))

    def _recorded(self, above: list[Place]) -> int:
        """Return how many of these groups, the lowest first, are done with by a record."""
        heads = enumerate(self._heads(above), 1)
        return max((level for level, head in heads if head is not None), default=0)

    def _heads(self, places: list[Place]) -> list[Head | None]:
        nodes = [self._fleet.node(place) for place in places]
        return self._process.jobs.nodes.heads(self._job.job_id, nodes)

    def _children(self, place: Place) -> list[Record] | None:
        """Return what a group, or the job, consists of; None: one of it has not succeeded."""
        places, found = self._tree.below(place), list[Record]()
        while places:
            some = places[-CHILDREN_AT_ONCE:]
            del places[-CHILDREN_AT_ONCE:]
            nodes = [self._fleet.node(place) for place in some]
            records = self._process.jobs.nodes.records(self._job.job_id, nodes)
            succeeded = [x for x in records if x is not None and x.status is Status.SUCCEEDED]
            if len(succeeded) < len(records):
                return None
            found = succeeded + found
        return found

    def _send_next(self, group: int, children: list[Record]) -> str | None:
        """Open the group of parts that follows; return why the job is to end instead, or None."""
        following = group + self._fleet.window
        if following >= len(self._tree.groups):
            return None
        if reason := self._at_ceiling(following, children):
            return reason
        job_id, birth = self._job.job_id, self._fleet.birth
        parts = self._tree.below(Place(1, following))
        self._process.queue.send_all(
            [Message(job_id=job_id, slice=1, birth=birth, part=part.number) for part in parts]
        )
        return None

    def _at_ceiling(self, groups: int, parts: list[Record]) -> str | None:
        """Return which ceiling on cost these parts and all groups so far have reached, or None."""
        if self._job.limits.max_compute_seconds is None and self._job.slice_ceiling is None:
            return None
        survey = Survey(self._process.jobs.nodes, self._job.job_id, self._fleet)
        usage = sum_of(self._job.usage, [*survey.added_up(groups), *parts])
        return self._job.at_ceiling(usage)

    def _write(self, place: Place, children: list[Record]) -> None:
        """Write the record of a group."""
        combined, model = self._combined(children), self._kernel.Partial
        if not isinstance(combined, model):
            raise NonRetryable(
                f"combine returned {_kind(combined)} instead of its {model.__name__}"
            )
        value, bulk = stored_result(part_kernel(self._kernel), combined)
        now = self._process.jobs.clock()
        record = Record(
            job_id=self._job.job_id,
            kernel=self._job.kernel,
            params={},
            created_at=now,
            updated_at=now,
            status=Status.SUCCEEDED,
            usage=sum_of(Usage(), children),
            result=value,
            node=self._fleet.node(place),
        )
        record = record.model_copy(update={"result_chunks": self._sent(bulk, record)})
        with suppress(VersionConflict):  # Someone else has just written it.
            self._process.jobs.create(record)

    def _conclude(self, children: list[Record]) -> StoredJob | None:
        """Store the end of the job, or the state from which it goes on."""
        jobs, job_id = self._process.jobs, self._job.job_id
        while True:
            stored = jobs.load(job_id)
            record = stored.record
            is_active = not (record.status.is_final or record.status is Status.PAUSED)
            if not is_active or not record.needs_parts_of(self._fleet.birth):
                return None
            try:
                after = self._concluded(record, children)
            except Exception as error:  # noqa: BLE001 - a foreign kernel may raise anything
                return self._fail_for(error)
            try:
                stored = jobs.replace(stored, after)
            except VersionConflict:
                continue
            except StateTooLarge as error:
                return self._fail_for(error)
            tell_over(stored.record, self._process.platform)
            jobs.nodes.clear(job_id, self._fleet.birth)
            return stored

    def _concluded(self, record: Record, children: list[Record]) -> Record:
        """Return the job with the total of its parts."""
        kernel = self._kernel
        params = loaded(kernel.Params, *self._process.last_params.of(record, self._read))
        outcome = kernel.conclude(params, self._plan, self._combined(children))
        after = record.concluded(sum_of(record.usage, children))
        if not isinstance(outcome, (kernel.State, kernel.Result)):
            names = f"{kernel.Result.__name__} or {kernel.State.__name__}"
            raise NonRetryable(f"conclude returned {_kind(outcome)} instead of its {names}")
        if isinstance(outcome, kernel.State) and not isinstance(outcome, kernel.Result):
            return after.saved(self._checkpoint(record, params, outcome)).released()
        value, bulk = stored_result(kernel, outcome)
        return after.succeeded(value, self._sent(bulk, record))

    def _checkpoint(self, record: Record, params: BaseModel, state: BaseModel) -> Checkpoint:
        """Return the state from which the job goes on as any other one."""
        kernel = self._kernel
        text, bulk = stored_state(kernel, state, max_bytes=self._process.max_state_bytes)
        return Checkpoint.of(
            text,
            chunks=self._sent(bulk, record),
            version=kernel.version,
            slice=record.slice_number,
            progress=min(max(0.0, kernel.progress(params, state)), 1.0),
            saved_at=self._process.jobs.clock(),
        )

    @cached_property
    def _kernel(self) -> AnyDivisible:
        return divisible(self._process.kernels(self._job.kernel))

    @cached_property
    def _plan(self) -> BaseModel:
        return plan_of(self._kernel, self._cut, self._job.job_id)

    @property
    def _cut(self) -> Cut:
        birth = self._fleet.birth or ""
        return self._process.last_cut.of(self._process.jobs, self._job.job_id, birth)

    def _combined(self, children: list[Record]) -> BaseModel:
        """Return what the parts of all children come to together."""
        kernel, plan = self._kernel, self._plan
        partials = map(self._partial, children)
        return reduce(lambda a, b: kernel.combine(plan, a, b), partials)

    def _partial(self, child: Record) -> BaseModel:
        """Return what a part or group comes to, with its arrays."""
        try:
            bulk = Bulk.of(self._read(child.result_chunks))
        except DamagedChunk:
            self._damaged = child.node
            raise
        partial: BaseModel = loaded(self._kernel.Partial, json.dumps(child.result).encode(), bulk)
        return partial

    def _sent(self, bulk: Bulk, record: Record) -> tuple[Chunk, ...]:
        """Send arrays that `record` is to list."""
        if not bulk.size:
            return ()
        name = f"{record.job_id}/{secrets.token_hex(8)}"
        return Arrays(self._process, name, lambda: None).send(bulk, record)

    def _read(self, chunks: Sequence[Chunk]) -> memoryview:
        return read_chunks(self._process, self._job.job_id, chunks)

    def _fail_for(self, error: Exception) -> StoredJob:
        """Fail the job for an error of its kernel in adding up, once it has had enough of them.

        Raises:
            AddLater: it has not.
            BrokenWorker: the error may be this machine's.
            Exception: it is one of NOT_THE_JOBS.
        """
        if isinstance(error, NOT_THE_JOBS):
            raise error
        if isinstance(error, Unreadable):
            return self._fail(str(error))
        process, job_id = self._process, self._job.job_id
        reason = described(error, type(self._kernel))
        if not process.is_alone and process.health.is_suspect(error, self._job.kernel):
            raise process.health.fault(job_id, reason) from error
        reason = f"adding up its parts: {reason}"
        if isinstance(error, (*ONLY_REPEAT, DamagedChunk)):
            stored = self._fail(reason)
            self._discard_damaged()
            return stored
        stored, seconds = count_error(process, job_id, self._fleet.birth, reason, era=self._job.era)
        if seconds:
            raise AddLater(seconds)
        return stored

    def _discard_damaged(self) -> None:
        """Remove a part or group whose arrays are lost, so that a retry does it again."""
        jobs, job_id, node = self._process.jobs, self._job.job_id, self._damaged
        if node and (part := jobs.load_node(job_id, node)):
            jobs.discard_node(part)

    def _fail(self, reason: str) -> StoredJob:
        """Fail the job."""
        return fail_job(
            self._process, self._job.job_id, self._fleet.birth, reason, era=self._job.era
        )


def _kind(value: object) -> str:
    return type(value).__name__
