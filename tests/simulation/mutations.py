"""The protocol, broken on purpose in one way each: the simulation has to catch it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from outlast.checkpoint import record as records
from outlast.checkpoint.deletions import Deletions
from outlast.checkpoint.errors import LeaseLost, StoreUnavailable, VersionConflict
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.names import job_key
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint
from outlast.checkpoint.register import Register
from outlast.checkpoint.status import Status
from outlast.worker.jobs import client, submission, sweep
from outlast.worker.loops import consumer, direct_calls, errors, invocations
from outlast.worker.queues.message import Message
from outlast.worker.slices import deliver, handover, job_turn, last_tries, owed_notices, turn
from outlast.worker.slices.brevity import Brevity
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.handover import Handover
from outlast.worker.slices.protocol import Action, Drop, Ending, Resend, Wait
from outlast.worker.slices.slice import Slice
from outlast.worker.slices.timing import Budget, Timing
from outlast.worker.slices.turn import Handled
from outlast.worker.slices.work import Work
from tests.records import changed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest import MonkeyPatch  # noqa: PT013 - for its name alone

    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record_parts import Lease
    from outlast.checkpoint.register import Put
    from outlast.worker.queues.contract import Delivery, Queue
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.worker_process import WorkerProcess

    Move = Callable[[Record], Record]
    Mutation = Callable[[MonkeyPatch], None]
    Change = Callable[[Record, Record], dict[str, Any]]


_handle_batch = invocations.Handler._handle_batch


def _patch_action(patch: MonkeyPatch, change: Callable[[Action], Action]) -> None:
    """Let what a message calls for be changed."""
    next_action = job_turn.next_action
    patch.setattr(job_turn, "next_action", lambda *what: change(next_action(*what)))


def _patch_record_seen(patch: MonkeyPatch, fields: dict[str, Any]) -> None:
    """Let what a message calls for be decided as if the job had these fields."""
    next_action = job_turn.next_action
    patch.setattr(
        job_turn,
        "next_action",
        lambda record, *what: next_action(changed(record, **fields), *what),
    )


def _patch_move(patch: MonkeyPatch, name: str, change: Change) -> None:
    """Let a move of the record lead to one that has the fields that `change` returns."""
    move = getattr(Record, name)

    def moved(self: Record, *arguments: Any, **options: Any) -> Record:
        after = move(self, *arguments, **options)
        return changed(after, **change(self, after))

    patch.setattr(Record, name, moved)


def _patch_delivery(patch: MonkeyPatch, change: Callable[..., Handled], *modules: Any) -> None:
    """Let what these modules do with a delivery be changed; without any: all entry points."""
    for module in modules or (consumer, direct_calls, invocations):
        patch.setattr(module, "deliver", change)


def _send(queue: Queue, record: Record, number: int, deduplication_id: str | None = None) -> None:
    """Send the message for a slice of the job; by default with the id that it should have."""
    usual = f"{record.job_id}:{record.revision.writer}"
    message = Message(job_id=record.job_id, slice=number)
    queue.send(message, deduplication_id=deduplication_id or usual)


def _answer_for_all(self: invocations.Handler, records: list[Any], context: Any) -> dict[str, Any]:
    _handle_batch(self, records, context)
    return {"batchItemFailures": []}


def _deliver_only(
    self: invocations.Handler, record: dict[str, Any], seconds: float, _: float
) -> bool:
    message = invocations.Delivery(record["body"], record["receiptHandle"])
    return deliver.deliver(self._process, message, seconds=seconds).ack


def _is_held_for_longer(self: Record, now: float) -> bool:
    return self.lease is not None and now < self.lease.expires_at - 2.0


def drop_the_fence(patch: MonkeyPatch) -> None:
    """A worker writes whether or not it still has its lease."""

    def advance(
        self: JobStore, held: StoredJob, _token: str, move: Move, *, put: Any, **_: Any
    ) -> StoredJob:
        while True:
            try:
                return self.replace(held, move(held.record), put=put)
            except VersionConflict:
                held = self.load(held.record.job_id)

    patch.setattr(JobStore, "advance", advance)


def swap_save_and_enqueue(patch: MonkeyPatch) -> None:
    """The continuation is sent before the state that it continues is stored."""
    end = ClaimedJob.end

    def send_and_end(self: ClaimedJob, ending: Ending) -> Record:
        _send(self.process.queue, self.record, self.record.slice_number + 1)
        return end(self, ending)

    def only_note(process: WorkerProcess, held: StoredJob, **_: object) -> None:
        process.jobs.replace(held, held.record.marked_announced())

    patch.setattr(ClaimedJob, "end", send_and_end)
    patch.setattr(job_turn, "send_continuation", only_note)


def skip_announced(patch: MonkeyPatch) -> None:
    """It is not stored that the continuation was sent."""

    def only_send(process: WorkerProcess, held: StoredJob, **_: object) -> None:
        _send(process.queue, held.record, held.record.slice_number)

    patch.setattr(job_turn, "send_continuation", only_send)


def write_blindly(patch: MonkeyPatch) -> None:
    """The store replaces whatever is there."""

    def write(
        self: Register, key: str, value: bytes, *, expected: str | None, put: Put | None = None
    ) -> str:
        current = self.read(key)
        known = current and expected and current.version
        return (put or self.put)(key, value, expected=known)

    patch.setattr(Register, "write", write)


def ack_first(patch: MonkeyPatch) -> None:
    """The message is acknowledged before its work is done."""

    def ack_and_deliver(process: WorkerProcess, message: Delivery, **options: Any) -> Handled:
        process.queue.ack(message)
        return deliver.deliver(process, message, **options)

    _patch_delivery(patch, ack_and_deliver)


def forget_the_missing_message(patch: MonkeyPatch) -> None:
    """A stale message is acknowledged although the next one was never sent."""
    _patch_action(patch, lambda action: Drop() if action == Resend() else action)


def announce_without_the_lease(patch: MonkeyPatch) -> None:
    """A worker that lost its lease sends the next message all the same, and acks its own."""
    run = Slice.run

    def run_on(self: Slice) -> Record:
        try:
            return run(self)
        except LeaseLost:
            process, job = self.job.process, self.job.record
            _send(process.queue, job, job.slice_number + 1)
            return process.jobs.load(job.job_id).record

    patch.setattr(Slice, "run", run_on)


def load_before_the_claim(patch: MonkeyPatch) -> None:
    """The kernel is loaded while nobody counts: it may take the process down."""
    take = ClaimedJob.take

    def load_and_take(
        process: WorkerProcess, held: StoredJob, *what: Any, **how: Any
    ) -> ClaimedJob:
        process.kernels(held.record.kernel)
        return take(process, held, *what, **how)

    patch.setattr(ClaimedJob, "take", load_and_take)


def bill_lost_answers_twice(patch: MonkeyPatch) -> None:
    """Steps whose save was stored, but not answered, are counted by the next save as well."""
    advance = JobStore.advance

    def advance_from_what_is_known(
        self: JobStore, held: StoredJob, token: str, move: Move, **how: Any
    ) -> StoredJob:
        known = held.record.usage.steps

        def moved(record: Record) -> Record:
            after = move(record)
            return changed(after, steps=record.usage.steps + after.usage.steps - known)

        return advance(self, held, token, moved, **how)

    patch.setattr(JobStore, "advance", advance_from_what_is_known)


def note_before_telling(patch: MonkeyPatch) -> None:
    """A target is stored as notified before it is."""
    notify_targets = job_turn.notify_targets

    def note_and_notify(
        process: WorkerProcess, message: Delivery, record: Record, deadline: Deadline
    ) -> bool:
        note: dict[str, Any] = {"max_rounds": 1, "not_before": 0.0}
        process.jobs.change(
            record.job_id,
            lambda now: now.notified(now.notices.owed, (), **note) if now.notices.owed else now,
        )
        return notify_targets(process, message, record, deadline)

    patch.setattr(job_turn, "notify_targets", note_and_notify)


def work_on_when_stopped(patch: MonkeyPatch) -> None:
    """A worker whose job was cancelled or paused computes until its slice ends."""
    advance = JobStore.advance

    def advance_at_any_rate(
        self: JobStore, held: StoredJob, token: str, move: Move, **how: Any
    ) -> StoredJob:
        try:
            held = advance(self, held, token, move, **how)
        except LeaseLost:
            return held
        is_paused = held.record.status is Status.PAUSED and held.record.lease is not None
        status = Status.RUNNING if is_paused else held.record.status
        return held._replace(record=changed(held.record, status=status))

    patch.setattr(JobStore, "advance", advance_at_any_rate)


def sweep_the_busy(patch: MonkeyPatch) -> None:
    """A sweep sends messages for jobs that were just written to."""
    is_silent = sweep.is_silent
    patch.setattr(sweep, "is_silent", lambda record, now, _: is_silent(record, now, 0.0))


def put_off_for_long(patch: MonkeyPatch) -> None:
    """A message that comes too early is hidden for as long as SQS can hide one."""
    _patch_action(patch, lambda action: Wait(12 * 3600.0) if isinstance(action, Wait) else action)


def ack_what_is_foreign(patch: MonkeyPatch) -> None:
    """The messages of another system, or of a lost job, are deleted."""

    def deliver_or_drop(process: WorkerProcess, message: Delivery, **options: Any) -> Handled:
        try:
            return deliver.deliver(process, message, **options)
        except errors.LEAVE_MESSAGE:
            return Handled(ack=True)

    _patch_delivery(patch, deliver_or_drop)


def ack_without_the_lease(patch: MonkeyPatch) -> None:
    """A worker that lost its lease acknowledges the message, which may be another's by now."""
    losers = set[str]()

    def deliver_and_ack(process: WorkerProcess, message: Delivery, **options: Any) -> Handled:
        handled = deliver.deliver(process, message, **options)
        return handled._replace(ack=handled.ack or process.worker in losers)

    def note(record: Record, _: float) -> None:
        assert record.lease is not None
        losers.add(record.lease.worker)

    patch.setattr(turn, "tell_lost_lease", note)
    _patch_delivery(patch, deliver_and_ack)


def leave_out_the_number(patch: MonkeyPatch) -> None:
    """A continuation does not say which slice it starts, so that a duplicate starts the next."""

    class Unnumbered:
        @staticmethod
        def of(record: Record) -> Message:
            return Message(job_id=record.job_id)

    patch.setattr(handover, "Message", Unnumbered)


def ack_while_the_store_is_away(patch: MonkeyPatch) -> None:
    """A function answers that it has handled what it could not even load."""

    def deliver_or_ack(process: WorkerProcess, message: Delivery, **options: Any) -> Handled:
        try:
            return deliver.deliver(process, message, **options)
        except StoreUnavailable:
            return Handled(ack=True)

    _patch_delivery(patch, deliver_or_ack, invocations)


def take_a_slice_for_its_only_life(patch: MonkeyPatch) -> None:
    """The id of a continuation is that of the same slice of a deleted job, or before a rollback."""

    def send_and_note(process: WorkerProcess, held: StoredJob) -> None:
        record = held.record
        number = record.slice_number
        _send(process.queue, record, number, f"{record.job_id}:{number}")
        with suppress(VersionConflict):
            process.jobs.replace(held, record.marked_announced())

    patch.setattr(job_turn, "send_continuation", send_and_note)


def wake_as_a_repetition(patch: MonkeyPatch) -> None:
    """The message of a submission, a resumption or a retry has an id that may recur."""

    def wake(queue: Queue, record: Record, _: str) -> None:
        _send(queue, record, record.slice_number, f"{record.job_id}:{record.slice_number}")

    for module in (client, submission):
        patch.setattr(module, "wake_job", wake)


def sweep_as_a_repetition(patch: MonkeyPatch) -> None:
    """The message of a sweep has the id of the job's sweep before it."""
    begin = sweep.Sweep.__init__

    class Repeating:
        def __init__(self, queue: Queue) -> None:
            self.is_empty = queue.is_empty
            self._queue = queue

        def send(self, message: Message) -> None:
            self._queue.send(message, deduplication_id=message.job_id)

    def begin_repeating(self: Any, jobs: JobStore, queue: Any, *what: Any, **how: Any) -> None:
        begin(self, jobs, Repeating(queue), *what, **how)  # type: ignore[arg-type]

    patch.setattr(sweep.Sweep, "__init__", begin_repeating)


def take_a_refusal_for_an_answer(patch: MonkeyPatch) -> None:
    """A target that did not accept its notice counts as told."""
    notify_all = owed_notices._notify_all

    def notify(process: WorkerProcess, record: Record, deadline: Deadline) -> Any:
        round_ = notify_all(process, record, deadline)
        return round_._replace(reached=set(record.notices.owed), gone=set())

    patch.setattr(owed_notices, "_notify_all", notify)


def remove_before_the_mark(patch: MonkeyPatch) -> None:
    """A job is removed first and marked as deleted then, if the store still answers."""

    def delete(self: JobStore, job_id: str, version: str) -> None:
        self._register.delete(job_key(job_id), expected=version)
        self.deletions.mark(job_id)

    patch.setattr(JobStore, "_delete", delete)


def keep_no_time_back(patch: MonkeyPatch) -> None:
    """A slice works until its platform's time-out."""
    patch.setattr(Timing, "budget", lambda _, seconds, *__: Budget(seconds, 0.0))
    patch.setattr(Work, "next_step_seconds", 0.0)
    patch.setattr(invocations, "MARGIN_SECONDS", 0.0)


def share_the_token(patch: MonkeyPatch) -> None:
    """All leases have one token, so that a worker takes another's for its own."""
    new_lease = ClaimedJob._new_lease

    def new_lease_with_token(self: ClaimedJob) -> Lease:
        self.token = "token"
        return new_lease(self)

    patch.setattr(ClaimedJob, "_new_lease", new_lease_with_token)


def write_what_is_gone(patch: MonkeyPatch) -> None:
    """A worker stores its job anew where a person has deleted it."""
    write = Register.write

    def write_again(
        self: Register, key: str, value: bytes, *, expected: str | None, put: Put | None = None
    ) -> str:
        try:
            return write(self, key, value, expected=expected, put=put)
        except VersionConflict:
            if self.read(key) is not None:
                raise
            return write(self, key, value, expected=None, put=put)

    patch.setattr(Register, "write", write_again)


# One attribute replaced by another value.
REPLACEMENTS: dict[str, tuple[Any, str, object]] = {
    # A checkpoint is used without a look at its checksum.
    "trust_the_bytes": (Checkpoint, "is_intact", True),
    # The state is stored at the end of the slice only.
    "never_save_between": (ClaimedJob, "save", lambda _: None),
    # A deleted job leaves no mark, and its messages seem to be of a job that was lost.
    "forget_the_deletion": (Deletions, "mark", lambda *_: None),
    # A job whose message was lost is left asleep.
    "never_sweep": (sweep.Sweep, "pieces", lambda _: iter(())),
    # A function or a call that is to sweep does not.
    "never_sweep_when_called": (client.Client, "sweep", lambda *_, **__: []),
    # A function answers that all of its batch is done.
    "answer_for_the_batch": (invocations.Handler, "_handle_batch", _answer_for_all),
    # What goes wrong with one message of a batch goes wrong with all.
    "fail_the_batch_for_one": (invocations.Handler, "_is_done", _deliver_only),
    # A lease is taken from a worker that may still renew it.
    "take_a_lease_early": (Record, "is_held", _is_held_for_longer),
    # A target that cannot be reached is given up at once.
    "give_up_at_once": (owed_notices, "MAX_ROUNDS", 1),
    # It is not stored which targets were notified that a job is over.
    "repeat_the_notices": (Record, "notified", lambda self, *_, **__: self),
    # The lease is not renewed while a kernel is loaded, or takes a long step.
    "let_the_lease_lapse": (ClaimedJob, "keep_alive", lambda _: None),
    # A save leaves the lease as it was.
    "save_without_renewing": (Record, "renewed", lambda self, *_, **__: self),
    # A worker that lacks the kernel of a job keeps its claim.
    "keep_what_cannot_be_run": (ClaimedJob, "give_back", lambda _: None),
    # Each sweep sends a message for each job that was silent before.
    "sweep_without_a_note": (Record, "swept", lambda self: self),
    # A write without an answer is not read back.
    "believe_a_lost_answer": (
        Register,
        "write",
        lambda self, *what, put=None, **how: (put or self.put)(*what, **how),
    ),
    # In one database a message goes with its slice, whoever is still to be notified.
    "acknowledge_what_is_owed": (Handover, "acks", lambda *_: True),
    # What a slice has done is given up if the store does not answer for two seconds.
    "give_up_in_an_outage": (last_tries, "MOST_REFUSED_SECONDS", 0.0),
    # There a continuation is noted as announced and never sent.
    "announce_alone": (
        Handover,
        "put",
        lambda self, _: partial(self.database.put, done=self.delivery),
    ),
    # A claim waits also where the slice may be what takes its worker down, which nobody counts.
    "let_any_claim_wait": (
        Brevity,
        "may_wait",
        lambda self, _, claimed, __: claimed.lease is not None and self.is_brief(claimed.kernel),
    ),
    # Where the newest checkpoint is damaged there is no other.
    "keep_one_generation": (records, "GENERATIONS", 1),
}
# What a message calls for is decided as if the job had other fields.
SEEN: dict[str, dict[str, Any]] = {
    # A job is claimed although another worker holds it.
    "ignore_the_lease": {"lease": None},
    # A message of a job that is over is acknowledged although targets are owed a notice.
    "forget_the_notices": {"owed": ()},
    # A job that waits after an error is run at once.
    "ignore_the_back_off": {"not_before": 0.0},
}
# A move of the record leads to one with other fields.
MOVES: dict[str, tuple[str, Change]] = {
    # A direct call passes for the slice's message, which was never sent.
    "take_a_call_for_a_message": ("claimed", lambda *_: {"announced": True}),
    # A slice that does not advance the job is not counted.
    "forget_the_stalls": ("claimed", lambda before, _: {"stalls": before.guards.stalls}),
    # A slice that ends leaves its job queued, although a person has paused it.
    "forget_the_pause": ("released", lambda *_: {"status": Status.QUEUED}),
    # A pause costs the running slice what it has not saved.
    "take_the_lease_on_pausing": ("paused", lambda *_: {"lease": None}),
    # A kernel may raise for as long as it does not stall.
    "count_no_errors": ("errored", lambda before, _: {"failures": before.guards.failures}),
    # Errors are counted although the job advances between them.
    "never_forgive_errors": ("saved", lambda before, _: {"failures": before.guards.failures}),
    # A slice that is interrupted is followed by a back-off.
    "take_a_stop_for_an_error": (
        "released",
        lambda before, after: {"not_before": after.not_before or before.updated_at + 30.0},
    ),
    # A retry goes on with the slice that failed, so its end seems to be the one before.
    "end_twice_alike": ("retried", lambda before, _: {"slice_number": before.slice_number}),
}
MUTATIONS: dict[str, Mutation] = {
    name: function
    for name, function in list(globals().items())
    if isfunction(function) and function.__module__ == __name__ and not name.startswith("_")
}
MUTATIONS |= {
    **{name: lambda patch, row=row: patch.setattr(*row) for name, row in REPLACEMENTS.items()},
    **{name: partial(_patch_record_seen, fields=fields) for name, fields in SEEN.items()},
    **{name: lambda patch, row=row: _patch_move(patch, *row) for name, row in MOVES.items()},
}
