"""The protocol, broken on purpose in one place each: the simulation has to notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.checkpoint.deletions import Deletions
from outlast.checkpoint.errors import LeaseLost, VersionConflict
from outlast.checkpoint.jobs import JobStore
from outlast.checkpoint.parts import Checkpoint
from outlast.checkpoint.record import Record
from outlast.checkpoint.register import Register
from outlast.checkpoint.status import Status
from outlast.worker.jobs import sweep
from outlast.worker.loops import consumer
from outlast.worker.queues.message import Message
from outlast.worker.slices import deliver as delivery
from outlast.worker.slices.claim import Claim
from outlast.worker.slices.holding import Holding
from outlast.worker.slices.slice import Slice
from tests.records import changed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest import MonkeyPatch  # noqa: PT013 - for its name alone

    from outlast.checkpoint.jobs import Held
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.deliver import Handled
    from outlast.worker.slices.process import Runtime

    Move = Callable[[Record], Record]
    Mutation = Callable[[MonkeyPatch], None]


def drop_the_fence(patch: MonkeyPatch) -> None:
    """A worker writes whether or not it still has its lease."""

    def advance(self: JobStore, held: Held, _token: str, move: Move) -> Held:
        while True:
            try:
                return self.replace(held, move(held.record))
            except VersionConflict:
                held = self.load(held.record.job_id)

    patch.setattr(JobStore, "advance", advance)


def swap_save_and_enqueue(patch: MonkeyPatch) -> None:
    """The continuation is sent before the state that it continues is stored."""
    end = Slice._end

    def send_and_end(self: Slice, ending: Move) -> Held:
        message = Message(job_id=self.job.record.job_id, slice=self.job.record.slice_number + 1)
        self._runtime.queue.send(message)
        return end(self, ending)

    def only_note(runtime: Runtime, held: Held, **_: object) -> None:
        runtime.jobs.replace(held, held.record.marked_announced())

    patch.setattr(Slice, "_end", send_and_end)
    patch.setattr(delivery, "announce", only_note)


def skip_announced(patch: MonkeyPatch) -> None:
    """It is not noted that the continuation was sent."""

    def only_send(runtime: Runtime, held: Held, **_: object) -> None:
        runtime.queue.send(Message(job_id=held.record.job_id, slice=held.record.slice_number))

    patch.setattr(delivery, "announce", only_send)


def ignore_the_lease(patch: MonkeyPatch) -> None:
    """A job is claimed although another worker holds it."""
    decide = delivery.decide

    def decide_alone(record: Record, number: int | None, now: float) -> object:
        return decide(record.model_copy(update={"lease": None}), number, now)

    patch.setattr(delivery, "decide", decide_alone)


def write_blindly(patch: MonkeyPatch) -> None:
    """The store replaces whatever is there."""

    def write(self: Register, key: str, value: bytes, *, expected: str | None) -> str:
        current = self.read(key)
        return self.put(key, value, expected=current and expected and current.version)

    patch.setattr(Register, "write", write)


def ack_first(patch: MonkeyPatch) -> None:
    """The message is acknowledged before its work is done."""
    deliver = delivery.deliver

    def ack_and_deliver(runtime: Runtime, message: Delivery, **options: Any) -> Handled:
        runtime.queue.ack(message)
        return deliver(runtime, message, **options)

    patch.setattr(consumer, "deliver", ack_and_deliver)


def forget_the_missing_message(patch: MonkeyPatch) -> None:
    """A stale message is acknowledged although the next one was never sent."""
    decide = delivery.decide

    def decide_once(record: Record, number: int | None, now: float) -> object:
        decision = decide(record, number, now)
        return delivery.Ack() if decision == delivery.Announce() else decision

    patch.setattr(delivery, "decide", decide_once)


def announce_without_the_lease(patch: MonkeyPatch) -> None:
    """A worker that lost its lease sends the next message all the same, and acks its own."""
    run = Slice.run

    def run_on(self: Slice) -> Held:
        try:
            return run(self)
        except LeaseLost:
            held = self._runtime.jobs.load(self.job.record.job_id)
            number = self.job.record.slice_number + 1
            self._runtime.queue.send(Message(job_id=self.job.record.job_id, slice=number))
            return held

    patch.setattr(Slice, "run", run_on)


def trust_the_bytes(patch: MonkeyPatch) -> None:
    """A checkpoint is used without a look at its checksum."""
    patch.setattr(Checkpoint, "is_intact", True)


def forget_the_stalls(patch: MonkeyPatch) -> None:
    """A slice that does not advance the job is not counted."""
    claimed = Record.claimed

    def uncounted(self: Record, lease: Any) -> Record:
        return changed(claimed(self, lease), stalls=self.guards.stalls)

    patch.setattr(Record, "claimed", uncounted)


def load_before_the_claim(patch: MonkeyPatch) -> None:
    """The kernel is loaded while nobody counts: it may take the process down."""
    take = Claim.take

    def load_and_take(self: Claim) -> Held | None:
        self._runtime.kernels(self._before.record.kernel)
        return take(self)

    patch.setattr(Claim, "take", load_and_take)


def never_save_between(patch: MonkeyPatch) -> None:
    """The state is stored at the end of the slice only."""
    patch.setattr(Slice, "_keep_house", lambda _: None)


def bill_lost_answers_twice(patch: MonkeyPatch) -> None:
    """Steps whose save was stored, but not answered, are counted by the next save as well."""
    pending = Holding.pending

    def counted_from_what_is_known(self: Holding) -> Move:
        move, known = pending(self), self.record

        def moved(record: Record) -> Record:
            after = move(record)
            return changed(after, steps=record.usage.steps + after.usage.steps - known.usage.steps)

        return moved

    patch.setattr(Holding, "pending", counted_from_what_is_known)


def forget_the_deletion(patch: MonkeyPatch) -> None:
    """A deleted job leaves no mark, and its messages seem to be of a job that was lost."""
    patch.setattr(Deletions, "note", lambda *_: None)


def never_sweep(patch: MonkeyPatch) -> None:
    """A job whose message was lost is left asleep."""
    patch.setattr(consumer, "sweep", lambda *_, **__: [])


def note_before_telling(patch: MonkeyPatch) -> None:
    """Who is to be told that a job is over is noted as told before that is done."""
    give = delivery.give_notice

    def note_and_give(
        runtime: Runtime, message: Delivery, record: Record, deadline: Deadline
    ) -> bool:
        note = {"max_rounds": 1, "not_before": 0.0}
        runtime.jobs.change(
            record.job_id,
            lambda now: now.notified(now.notices.owed, (), **note) if now.notices.owed else now,
        )
        return give(runtime, message, record, deadline)

    patch.setattr(delivery, "give_notice", note_and_give)


def forget_the_notices(patch: MonkeyPatch) -> None:
    """A message of a job that is over is acknowledged whoever is yet to be told."""
    decide = delivery.decide

    def decide_alone(record: Record, number: int | None, now: float) -> object:
        return decide(changed(record, owed=()), number, now)

    patch.setattr(delivery, "decide", decide_alone)


def repeat_the_notices(patch: MonkeyPatch) -> None:
    """It is not noted who was told that a job is over."""
    patch.setattr(Record, "notified", lambda self, *_, **__: self)


def let_the_lease_lapse(patch: MonkeyPatch) -> None:
    """The lease is not renewed while a kernel is loaded."""
    patch.setattr(Claim, "renewed", lambda self: self._held)


def save_without_renewing(patch: MonkeyPatch) -> None:
    """A save leaves the lease as it was."""
    patch.setattr(Record, "renewed", lambda self, **_: self)


def forget_the_pause(patch: MonkeyPatch) -> None:
    """A slice that ends leaves its job queued, although a person has paused it."""
    released = Record.released

    def queued(self: Record, **options: Any) -> Record:
        return released(self, **options)._with(status=Status.QUEUED)

    patch.setattr(Record, "released", queued)


def work_on_when_stopped(patch: MonkeyPatch) -> None:
    """A worker whose job was cancelled or paused computes until its slice ends."""
    write = Holding.write

    def write_at_any_rate(self: Holding, move: Move) -> Held:
        try:
            held = write(self, move)
        except LeaseLost:
            return self._held
        self._held = held._replace(record=held.record._with(status=Status.RUNNING))
        return held

    patch.setattr(Holding, "write", write_at_any_rate)


def take_the_lease_on_pausing(patch: MonkeyPatch) -> None:
    """A pause costs the running slice what it has not saved."""
    paused = Record.paused
    patch.setattr(Record, "paused", lambda self: paused(self)._with(lease=None))


def ignore_the_back_off(patch: MonkeyPatch) -> None:
    """A job that waits after an error is run at once."""
    decide = delivery.decide

    def decide_now(record: Record, number: int | None, now: float) -> object:
        return decide(record._with(not_before=0.0), number, now)

    patch.setattr(delivery, "decide", decide_now)


def count_no_errors(patch: MonkeyPatch) -> None:
    """A kernel may raise for as long as it does not stall."""
    errored = Record.errored

    def uncounted(self: Record, error: str, **options: Any) -> Record:
        return changed(errored(self, error, **options), failures=self.guards.failures)

    patch.setattr(Record, "errored", uncounted)


def never_forgive_errors(patch: MonkeyPatch) -> None:
    """Errors are counted although the job advances between them."""
    saved = Record.saved

    def saved_as_it_was(self: Record, checkpoint: Checkpoint) -> Record:
        return changed(saved(self, checkpoint), failures=self.guards.failures)

    patch.setattr(Record, "saved", saved_as_it_was)


def take_a_stop_for_an_error(patch: MonkeyPatch) -> None:
    """A slice that is interrupted is followed by a back-off."""
    released = Record.released

    def backed_off(self: Record, *, not_before: float = 0.0) -> Record:
        return released(self, not_before=not_before or self.updated_at + 30.0)

    patch.setattr(Record, "released", backed_off)


def keep_one_generation(patch: MonkeyPatch) -> None:
    """Where the newest checkpoint is damaged there is no other."""
    patch.setattr("outlast.checkpoint.record.GENERATIONS", 1)


def keep_what_cannot_be_run(patch: MonkeyPatch) -> None:
    """A worker that lacks the kernel of a job keeps its claim."""
    patch.setattr(Claim, "give_back", lambda _: None)


def sweep_without_a_note(patch: MonkeyPatch) -> None:
    """Each sweep sends a message for each job that was silent before."""
    patch.setattr(Record, "swept", lambda self: self)


def sweep_the_busy(patch: MonkeyPatch) -> None:
    """A sweep sends messages for jobs that were just written to."""
    is_silent = sweep._is_silent

    def is_asleep(record: Record, _now: float, after_seconds: float) -> bool:
        return is_silent(record, 1e12, after_seconds)

    patch.setattr(sweep, "_is_silent", is_asleep)


def put_off_for_long(patch: MonkeyPatch) -> None:
    """A message that comes too early is hidden for as long as SQS can hide one."""
    patch.setattr(delivery, "_patience", lambda *_: 12 * 3600.0)


def ack_what_is_foreign(patch: MonkeyPatch) -> None:
    """The messages of another system, or of a lost job, are deleted."""

    def deliver_or_drop(runtime: Runtime, message: Delivery, **options: Any) -> Handled:
        try:
            return deliver(runtime, message, **options)
        except consumer.NOT_FOR_US:
            return delivery.Handled(ack=True)

    deliver = delivery.deliver
    patch.setattr(consumer, "deliver", deliver_or_drop)


def end_twice_alike(patch: MonkeyPatch) -> None:
    """A retry goes on with the slice that failed, so its end seems to be the one before."""
    retried = Record.retried

    def retried_as_it_was(self: Record, **options: Any) -> Record:
        return retried(self, **options)._with(slice_number=self.slice_number)

    patch.setattr(Record, "retried", retried_as_it_was)


def believe_a_lost_answer(patch: MonkeyPatch) -> None:
    """A write without an answer is not read back."""
    patch.setattr(Register, "write", lambda self, *what, **how: self.put(*what, **how))


def ack_without_the_lease(patch: MonkeyPatch) -> None:
    """A worker that lost its lease acknowledges the message, which may be another's by now."""
    run, losers = delivery._run, set[str]()

    def run_and_ack(runtime: Runtime, *what: Any) -> Handled:
        handled = run(runtime, *what)
        return handled._replace(ack=handled.ack or runtime.worker in losers)

    def note(record: Record, _: float) -> None:
        assert record.lease is not None
        losers.add(record.lease.worker)

    patch.setattr(delivery, "report_lost_lease", note)
    patch.setattr(delivery, "_run", run_and_ack)


def leave_out_the_number(patch: MonkeyPatch) -> None:
    """A continuation does not say which slice it starts, so that a duplicate starts the next."""

    class Unnumbered:
        parse = Message.parse

        def __new__(cls, job_id: str, **_: object) -> Any:
            return Message(job_id=job_id)

    patch.setattr(delivery, "Message", Unnumbered)


MUTATIONS: list[Mutation] = [
    drop_the_fence,
    swap_save_and_enqueue,
    skip_announced,
    ignore_the_lease,
    write_blindly,
    ack_first,
    forget_the_missing_message,
    announce_without_the_lease,
    trust_the_bytes,
    forget_the_stalls,
    load_before_the_claim,
    never_save_between,
    bill_lost_answers_twice,
    forget_the_deletion,
    never_sweep,
    note_before_telling,
    forget_the_notices,
    repeat_the_notices,
    let_the_lease_lapse,
    save_without_renewing,
    forget_the_pause,
    work_on_when_stopped,
    take_the_lease_on_pausing,
    ignore_the_back_off,
    count_no_errors,
    never_forgive_errors,
    take_a_stop_for_an_error,
    keep_one_generation,
    keep_what_cannot_be_run,
    sweep_without_a_note,
    sweep_the_busy,
    put_off_for_long,
    ack_what_is_foreign,
    end_twice_alike,
    believe_a_lost_answer,
    ack_without_the_lease,
    leave_out_the_number,
]
