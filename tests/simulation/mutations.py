"""The protocol, broken on purpose in one place each: the simulation has to notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkpoint.deletions import Deletions
from checkpoint.errors import LeaseLost, VersionConflict
from checkpoint.jobs import JobStore
from checkpoint.parts import Checkpoint
from checkpoint.record import Record
from checkpoint.register import Register
from worker import consumer, delivery
from worker.claim import Claim
from worker.holding import Holding
from worker.message import Message
from worker.slice import Slice

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest import MonkeyPatch  # noqa: PT013 - for its name alone

    from checkpoint.jobs import Held
    from worker.deadline import Deadline
    from worker.delivery import Handled
    from worker.queues.contract import Delivery
    from worker.runtime import Runtime

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
        message = Message(job_id=self.job.record.job_id, slice=self.job.record.slice + 1)
        self._runtime.queue.send(message)
        return end(self, ending)

    def only_note(runtime: Runtime, held: Held, **_: object) -> None:
        runtime.jobs.replace(held, held.record.announced_once())

    patch.setattr(Slice, "_end", send_and_end)
    patch.setattr(delivery, "announce", only_note)


def skip_announced(patch: MonkeyPatch) -> None:
    """It is not noted that the continuation was sent."""

    def only_send(runtime: Runtime, held: Held, **_: object) -> None:
        runtime.queue.send(Message(job_id=held.record.job_id, slice=held.record.slice))

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
            number = self.job.record.slice + 1
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
        return claimed(self, lease)._with(stalls=self.stalls)

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
            return after._with(steps=record.steps + after.steps - known.steps)

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
        note = {"most": 1, "not_before": 0.0}
        runtime.jobs.change(
            record.job_id, lambda now: now.noticed(now.owed, (), **note) if now.owed else now
        )
        return give(runtime, message, record, deadline)

    patch.setattr(delivery, "give_notice", note_and_give)


def forget_the_notices(patch: MonkeyPatch) -> None:
    """A message of a job that is over is acknowledged whoever is yet to be told."""
    decide = delivery.decide

    def decide_alone(record: Record, number: int | None, now: float) -> object:
        return decide(record.model_copy(update={"owed": ()}), number, now)

    patch.setattr(delivery, "decide", decide_alone)


def repeat_the_notices(patch: MonkeyPatch) -> None:
    """It is not noted who was told that a job is over."""
    patch.setattr(Record, "noticed", lambda self, *_, **__: self)


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
]
