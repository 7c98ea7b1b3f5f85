"""The way of arrays, broken on purpose in one way each: see `mutations.py`."""

from __future__ import annotations

from contextlib import suppress
from inspect import isfunction
from itertools import chain
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.blobs import orphans, sending
from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.blobs.sending import Sending
from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.worker.jobs import arrays as submitted
from outlast.worker.jobs import submission
from outlast.worker.slices import tidying
from outlast.worker.slices.arrays import Arrays
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.slice import Slice
from outlast.worker.slices.unsaved import Unsaved

if TYPE_CHECKING:
    from pytest import MonkeyPatch  # noqa: PT013 - for its name alone

    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.job_store import JobStore
    from outlast.worker.jobs.new_job import NewJob
    from outlast.worker.slices.protocol import Ending


def commit_before_the_last_chunk(patch: MonkeyPatch) -> None:
    """A chunk is listed as soon as it has a name, and sent meanwhile."""

    def send(self: Sending, data: memoryview) -> Chunk:
        digest = sending.hashlib.sha256(data).hexdigest()
        chunk = Chunk(self._new_name(), data.nbytes, digest)

        def put() -> None:
            with suppress(StoreUnavailable):
                self._blobs.put(chunk, data)

        sending.threading.Thread(target=put, name="later", daemon=True).start()
        return chunk

    patch.setattr(Sending, "_send", send)


def send_what_changes(patch: MonkeyPatch) -> None:
    """Arrays are sent while the kernel goes on, without a copy."""
    patch.setattr(Arrays, "_copied", lambda _, bulk: bulk)


def delete_at_once(patch: MonkeyPatch) -> None:
    """What a save has dropped is deleted beside the next one, however soon that is."""
    patch.setattr(Record, "ripe", lambda self, *_: [dropped.name for dropped in self.dropped])


def delete_what_may_be_listed(patch: MonkeyPatch) -> None:
    """What was sent for a write without an answer is deleted with the end of the slice."""
    close = Arrays.close

    def close_as_if_stored(self: Arrays) -> None:
        self._is_stored = True
        close(self)

    patch.setattr(Arrays, "close", close_as_if_stored)


def name_by_the_slice(patch: MonkeyPatch) -> None:
    """The claims of one slice give the same names."""
    begin = ClaimedJob.__init__

    def begin_with_number(self: ClaimedJob, process: Any, delivery: Any, before: Any) -> None:
        begin(self, process, delivery, before)
        self.arrays._name = f"{before.record.job_id}/{before.record.slice_number}"

    patch.setattr(ClaimedJob, "__init__", begin_with_number)


def free_the_quarantine(patch: MonkeyPatch) -> None:
    """The chunks of a checkpoint in quarantine count as those that nobody needs."""

    def chunks(self: Record) -> dict[str, Chunk]:
        kept = (checkpoint.chunks for checkpoint in self.checkpoints)
        every = chain(self.params_chunks, self.result_chunks, *kept)
        return {chunk.name: chunk for chunk in every}

    patch.setattr(Record, "chunks", property(chunks))


def clean_up_below_a_claim(patch: MonkeyPatch) -> None:
    """A clean-up takes what a worker has sent and not listed yet."""
    orphans_of = orphans.orphans_of

    def orphans_of_all(record: Record, *what: Any) -> list[str]:
        return orphans_of(record.model_copy(update={"lease": None}), *what)

    for module in (orphans, tidying):
        patch.setattr(module, "orphans_of", orphans_of_all)


def clean_up_what_waits(patch: MonkeyPatch) -> None:
    """A clean-up takes what was dropped, however soon that is."""
    orphans_of = orphans.orphans_of

    def orphans_of_all(record: Record, *what: Any) -> list[str]:
        return orphans_of(record.model_copy(update={"dropped": ()}), *what)

    for module in (orphans, tidying):
        patch.setattr(module, "orphans_of", orphans_of_all)


def delete_what_is_listed(patch: MonkeyPatch) -> None:
    """All that a claim has sent is deleted with the end of its slice, as if it were in vain."""

    def stored(self: Arrays, _: Record) -> None:
        self._is_stored = True

    patch.setattr(Arrays, "stored", stored)


def leave_what_cannot_be_read(patch: MonkeyPatch) -> None:
    """A checkpoint with damaged arrays stays the newest one."""
    patch.setattr(ClaimedJob, "quarantine", lambda *_: None)


def submit_before_the_arrays(patch: MonkeyPatch) -> None:
    """The arrays of a new job are sent once its record is stored."""

    def store(jobs: JobStore, new: NewJob, blobs: BlobStore) -> tuple[Record, bool]:
        (record, _), is_new = jobs.submit(new.record)
        if is_new:
            submitted._put(new, blobs)
        return record, is_new

    patch.setattr(submission, "store_with_arrays", store)


def delete_what_may_be_submitted(patch: MonkeyPatch) -> None:
    """The arrays of a new job are deleted where its write has no answer."""
    patch.setattr(submitted, "StoreFull", StoreUnavailable)


def keep_the_state_of_a_failed_step(patch: MonkeyPatch) -> None:
    """The state before a step that has failed is stored, with arrays as the step has left them."""
    fail = Slice._failure_in_step

    def fail_with_state(self: Slice, error: BaseException) -> Ending:
        vars(self.job)["drop_state"] = lambda: None
        return fail(self, error)

    patch.setattr(Slice, "_failure_in_step", fail_with_state)


def keep_the_state_before_the_result(patch: MonkeyPatch) -> None:
    """The last state is stored beside the result, whatever the kernel has changed since."""
    succeed = Slice._success

    def succeed_with_state(self: Slice, result: object) -> Ending:
        vars(self.job)["has_arrays"] = False
        return succeed(self, result)

    patch.setattr(Slice, "_success", succeed_with_state)


def wait_from_the_copy_on(patch: MonkeyPatch) -> None:
    """Dropped chunks wait since their successors were copied, however long these were sent."""
    added_to = Unsaved.added_to

    def added_early(self: Unsaved, record: Record, now: float) -> Record:
        made_at = self.snapshot.fields["saved_at"] if self.snapshot else now
        return added_to(self, record, made_at)

    patch.setattr(Unsaved, "added_to", added_early)


ARRAY_MUTATIONS = {
    name: function
    for name, function in list(globals().items())
    if isfunction(function) and function.__module__ == __name__
}
