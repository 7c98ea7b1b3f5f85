"""What many workers do, broken on purpose in one way each: the small worlds have to catch it."""

from __future__ import annotations

from inspect import isfunction
from typing import TYPE_CHECKING, Any

from outlast.checkpoint import survey
from outlast.checkpoint.fleet import Fleet, Place
from outlast.checkpoint.head import Head
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import OpenGroup, Survey
from outlast.worker.jobs.sweep import Sweep
from outlast.worker.slices.fleet import call, last_cut, part_turn
from outlast.worker.slices.fleet.claimed_part import ClaimedPart
from outlast.worker.slices.fleet.part_turn import PartTurn
from outlast.worker.slices.protocol import AddUp, Drop, FailJob, RunSlice, Wait
from outlast.worker.slices.turn import Handled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest import MonkeyPatch  # noqa: PT013 - for its name alone

    Mutation = Callable[[MonkeyPatch], None]


# ---- The call


def take_a_group_for_open_by_its_record_only(patch: MonkeyPatch) -> None:
    """A group counts as complete once it is added up, and not when its parts have succeeded."""

    def is_open(survey: Survey, number: int) -> bool:
        before = number - survey._fleet.window
        return before < 0 or survey._is_recorded(survey.tree.groups[before])

    _patch_open_groups(patch, is_open)


def stop_at_the_first_closed_group(patch: MonkeyPatch) -> None:
    """All groups count as closed that are behind one that is."""
    _patch_open_groups(
        patch, lambda survey, number: all(_is_open(survey, n) for n in range(number))
    )


def leave_out_the_leased(patch: MonkeyPatch) -> None:
    """A part that another worker has is not called."""
    _patch_due(patch, lambda _place, head, _slice: head is None or head.lease is None)


def leave_out_those_that_have_begun(patch: MonkeyPatch) -> None:
    """Only parts that nobody has begun are called."""
    _patch_due(patch, lambda _place, head, _slice: head is None)


def call_for_the_first_slice(patch: MonkeyPatch) -> None:
    """Each part is called for its first slice."""
    due = call._due
    patch.setattr(call, "_due", lambda job: ((place, 1) for place, _ in due(job)))


def open_all_at_once(patch: MonkeyPatch) -> None:
    """At the start the messages of all groups are sent."""
    first = call._first
    patch.setattr(call, "_first", lambda fleet: first(fleet.model_copy(update={"window": 10**6})))


def cut_again(patch: MonkeyPatch) -> None:
    """Each call cuts the job anew."""
    call_parts = call.call_parts

    def uncut(job: Any) -> Record | None:
        with patch.context() as inner:
            inner.setattr(Fleet, "is_cut", False)
            return call_parts(job)

    patch.setattr(call, "call_parts", uncut)


def answer_all_calls(patch: MonkeyPatch) -> None:
    """A call counts as answered that came while another one was being answered."""
    answered = Record.answered
    patch.setattr(
        Record, "answered", lambda self, _: answered(self, self.fleet.calls if self.fleet else 0)
    )


def answer_before_sending(patch: MonkeyPatch) -> None:
    """A call is stored as answered before the messages are sent."""

    def sent_late(job: Any, calls: int, parts: Iterator[tuple[Place, int]]) -> Record | None:
        all_ = list(parts)
        record = original(job, calls, iter(()))
        birth = record.fleet.birth if record.fleet else None
        for place, number in all_:
            message = call.Message(
                job_id=record.job_id, slice=number, birth=birth, part=place.number
            )
            job.process.queue.send(message)
        return record

    original = call._call
    patch.setattr(call, "_call", sent_late)


def let_a_call_end_a_pause(patch: MonkeyPatch) -> None:
    """Whoever has answered a call sets a job running that a person has paused meanwhile."""
    _patch_move(patch, "answered", lambda _before, _after: {"status": Status.RUNNING})


def resume_without_a_call(patch: MonkeyPatch) -> None:
    """A resume does not call for the messages."""
    _patch_move(patch, "resumed", lambda before, _: {"fleet": before.fleet})


def retry_without_a_call(patch: MonkeyPatch) -> None:
    """A retry does not call for the messages."""
    _patch_move(patch, "retried", lambda _, after: {"fleet": _uncalled(after.fleet)})


def retry_in_the_same_era(patch: MonkeyPatch) -> None:
    """A retry leaves the era as it is, so that the old failure counts again."""
    _patch_move(
        patch,
        "retried",
        lambda before, after: {
            "fleet": after.fleet
            and after.fleet.model_copy(update={"era": before.fleet.era if before.fleet else 0})
        },
    )


# ---- A part


def compare_no_eras(patch: MonkeyPatch) -> None:
    """A failure from before a retry fails the job again."""
    fail = PartTurn._fail
    patch.setattr(PartTurn, "_fail", lambda self, error, _era: fail(self, error, 10**6))

    def seen(action: Any, part: Head | None, _job: Head) -> Any:
        has_failed = part is not None and part.status is Status.FAILED
        return FailJob("injected") if isinstance(action, RunSlice) and has_failed else action

    _patch_action(patch, seen)


def drop_a_failure(patch: MonkeyPatch) -> None:
    """A part's failure is not the job's."""
    patch.setattr(PartTurn, "_fail", lambda *_: Handled(ack=True))


def drop_what_is_leased(patch: MonkeyPatch) -> None:
    """A message is acknowledged because another worker has the part."""
    _patch_action(patch, lambda action, *_: Drop() if isinstance(action, Wait) else action)


def run_what_is_leased(patch: MonkeyPatch) -> None:
    """A part is claimed although another worker has it."""
    _patch_action(patch, lambda action, *_: RunSlice() if isinstance(action, Wait) else action)


def drop_a_success_that_comes_again(patch: MonkeyPatch) -> None:
    """A message of a part that has succeeded is acknowledged, and nobody adds it up."""
    _patch_action(patch, lambda action, *_: Drop() if isinstance(action, AddUp) else action)


def run_in_a_pause(patch: MonkeyPatch) -> None:
    """A part of a paused job is begun all the same."""

    def seen(action: Any, part: Head | None, job: Head) -> Any:
        is_paused = job.status is Status.PAUSED and isinstance(action, Drop)
        return RunSlice() if is_paused and part is None else action

    _patch_action(patch, seen)


def compare_no_births(patch: MonkeyPatch) -> None:
    """A part of a job that is gone counts for the one that has its id."""

    def needs(self: Head, _birth: str | None) -> bool:
        is_cut = self.fleet is not None and self.fleet.is_cut
        return is_cut and self.status not in {Status.SUCCEEDED, Status.CANCELLED}

    patch.setattr(Head, "needs_parts_of", needs)


def give_all_jobs_one_birth(patch: MonkeyPatch) -> None:
    """What is left of a job is taken for that of the one that has its id."""
    patch.setattr(call.secrets, "token_hex", lambda number: "0" * 2 * number)


def give_up_the_parts_of_a_failed_job(patch: MonkeyPatch) -> None:
    """A failed job needs no parts, although it may be retried."""
    needs = Head.needs_parts_of
    patch.setattr(
        Head,
        "needs_parts_of",
        lambda self, birth: self.status is not Status.FAILED and needs(self, birth),
    )


def never_look_at_the_job(patch: MonkeyPatch) -> None:
    """A part's worker does not find out that its job was stopped."""
    patch.setattr(ClaimedPart, "_look_at_job", lambda _: None)


def look_at_the_job_for_its_end_only(patch: MonkeyPatch) -> None:
    """A part's worker goes on while the job is paused."""
    patch.setattr(ClaimedPart, "is_paused", False)


def send_no_continuation(patch: MonkeyPatch) -> None:
    """A part that was interrupted is left without a message."""
    patch.setattr(part_turn, "send_continuation", lambda *_: None)


def look_for_pieces_after_the_end(patch: MonkeyPatch) -> None:
    """A job that has just ended is taken for one that is cut into no parts."""
    of = last_cut.Cut.of

    def without_parts(record: Record) -> last_cut.Cut:
        birth = record.fleet.birth if record.fleet else None
        return of(record)._replace(birth=birth or "")

    patch.setattr(last_cut.Cut, "of", without_parts)


# ---- The sweep


def sweep_while_parts_are_at_work(patch: MonkeyPatch) -> None:
    """A job is swept as it was not written for long, although its parts were."""
    patch.setattr(Sweep, "_has_part_at_work", lambda *_: False)


def sweep_without_a_call(patch: MonkeyPatch) -> None:
    """A sweep sends the job's message, and calls for none of its parts'."""
    patch.setattr(Record, "called", lambda self: self)


def call_no_one_to_add_up(patch: MonkeyPatch) -> None:
    """What could be added up, and was not, is nobody's."""
    patch.setattr(Survey, "unsummed", ())


def take_all_that_is_there_for_done(patch: MonkeyPatch) -> None:
    """A part that has begun is taken for done."""
    patch.setattr(survey, "_has_succeeded", lambda head: head is not None)


def _is_open(self: Survey, number: int) -> bool:
    """Whether a group is open, by what has succeeded in it or above."""
    before = number - self._fleet.window
    if before < 0:
        return True
    place = self.tree.groups[before]
    return self._is_recorded(place) or all(
        survey._has_succeeded(self.head(part)) for part in self.tree.below(place)
    )


def _patch_open_groups(patch: MonkeyPatch, is_open: Callable[[Survey, int], bool]) -> None:
    """Let only those groups be open for whose number that holds."""

    def fewer(self: Survey) -> Iterator[OpenGroup]:
        return (group for group in open_groups(self) if is_open(self, group.place.number))

    open_groups = Survey.open_groups
    patch.setattr(Survey, "open_groups", fewer)


def _patch_due(patch: MonkeyPatch, is_due: Callable[[Place, Head | None, int], bool]) -> None:
    """Let only those parts be called for which that holds."""
    due = call._due

    def fewer(job: Any) -> Iterator[tuple[Place, int]]:
        seen = Survey(job.process.jobs.nodes, job.record.job_id, job.record.fleet)
        for place, number in due(job):
            if is_due(place, seen.head(place), number):
                yield place, number

    patch.setattr(call, "_due", fewer)


def _patch_action(patch: MonkeyPatch, change: Callable[[Any, Head | None, Head], Any]) -> None:
    """Let what a part's message calls for be changed."""
    part_action = part_turn.part_action
    patch.setattr(
        part_turn,
        "part_action",
        lambda job, part, *what: change(part_action(job, part, *what), part, job),
    )


def _patch_move(
    patch: MonkeyPatch, name: str, change: Callable[[Record, Record], dict[str, Any]]
) -> None:
    """Let a move of the record lead to one that has the fields that `change` returns."""
    move = getattr(Record, name)

    def moved(self: Record, *arguments: Any, **options: Any) -> Record:
        after: Record = move(self, *arguments, **options)
        return after if after is self else after.model_copy(update=change(self, after))

    patch.setattr(Record, name, moved)


def _uncalled(fleet: Fleet | None) -> Fleet | None:
    return fleet and fleet.model_copy(update={"calls": fleet.calls - 1})


MUTATIONS: dict[str, Mutation] = {
    name: function
    for name, function in list(globals().items())
    if isfunction(function) and function.__module__ == __name__ and not name.startswith("_")
}
