"""What a finished job owes: who is told, when, how often, and what a crash leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.worker.jobs.sweep import sweep
from outlast.worker.jobs.view import view
from outlast.worker.notify.contract import Gone, NotTold
from outlast.worker.notify.notice import MAX_BYTES, event_of
from outlast.worker.notify.target import InvalidTarget, checked_targets
from outlast.worker.queues.local import MAX_RECEIVES
from outlast.worker.queues.message import Message
from outlast.worker.settings import Settings
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.notices import MAX_ROUNDS
from tests.kernels import expected, raising
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.notify.notice import Event
    from outlast.worker.slices.process import WorkerProcess

ONE, TWO = "https://one.example/done", "sqs://two"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Ears:
    """Targets that hear, each in its way.

    Attributes:
        heard: each target and event. deaf: targets that raise so.
    """

    def __init__(self) -> None:
        self.heard: list[tuple[str, Event]] = []
        self.deaf: dict[str, NotTold] = {}

    def __call__(self, target: str, event: Event, _seconds: float) -> None:
        """Hear of an event."""
        if target in self.deaf:
            raise self.deaf[target]
        self.heard.append((target, event))


@pytest.fixture
def ears() -> Ears:
    """What the targets hear."""
    return Ears()


def worker(floor: Floor, ears: Any) -> WorkerProcess:
    """A worker that tells those."""
    from dataclasses import replace

    return replace(floor.process(), notify=ears)


def submit(floor: Floor, *targets: str, **options: Any) -> None:
    """Submit the job with targets."""
    floor.submit(**options)
    floor.change(lambda r: changed(r, targets=targets))


def names(ears: Ears) -> list[str]:
    """Whom was told."""
    return [target for target, _ in ears.heard]


def test_all_targets_are_told_once_of_the_result(floor: Floor, ears: Ears) -> None:
    """Who waits for a result would have to ask for it."""
    submit(floor, ONE, TWO)
    handled, _ = floor.work(worker(floor, ears), seconds=4.0)
    assert (handled.ack, ears.heard) == (True, [])
    handled, _ = floor.work(worker(floor, ears))
    assert handled.ack
    assert names(ears) == [ONE, TWO]
    told = json.loads(ears.heard[0][1].body)
    assert told["type"] == "job.succeeded"
    assert told["data"]["result"] == expected(STEPS)
    assert view(floor.record)["notified"] is True
    assert floor.messages() == []


@pytest.mark.parametrize("how", ["failed", "given up", "cancelled"])
def test_other_ends_are_told_as_well(floor: Floor, ears: Ears, how: str) -> None:
    """Who waits would wait for ever, which is worse than to hear of a failure."""
    submit(floor, ONE, max_failures=1)
    if how == "failed":
        floor.kernel = raising(ValueError("no"), 2)
    elif how == "given up":
        floor.change(lambda r: changed(r, stalls=r.limits.max_stalls))
    else:
        floor.change(Record.cancelled)
    handled, _ = floor.work(worker(floor, ears))
    assert handled.ack
    (event,) = [event for _, event in ears.heard]
    wanted = "cancelled" if how == "cancelled" else "failed"
    assert json.loads(event.body)["type"] == f"job.{wanted}"


def test_a_job_without_targets_tells_nobody(floor: Floor, ears: Ears) -> None:
    """Every job would pay for what few use."""
    floor.submit()
    submitted = floor.record.revision.writes
    floor.work(worker(floor, ears))
    claim_and_end = 2
    assert floor.record.revision.writes == submitted + claim_and_end + floor.record.usage.saves
    assert view(floor.record)["notified"] is None
    assert ears.heard == []


def test_a_worker_killed_between_notice_and_note_repeats_it_with_the_same_id(
    floor: Floor, ears: Ears
) -> None:
    """The notice would be lost with the worker, or be taken for another one."""
    submit(floor, ONE)
    delivery = floor.receive()

    class Killed(BaseException):
        pass

    def told_and_killed(target: str, event: Event, seconds: float) -> None:
        ears(target, event, seconds)
        raise Killed

    with pytest.raises(Killed):
        deliver(worker(floor, told_and_killed), delivery)
    assert floor.record.notices.owed == (ONE,)
    floor.clock.sleep(60)
    handled, _ = floor.work(worker(floor, ears))
    assert handled.ack
    assert names(ears) == [ONE, ONE]
    assert len({event.id for _, event in ears.heard}) == 1
    assert floor.record.notices.owed == ()


def test_a_store_that_loses_the_note_makes_a_repetition(floor: Floor, ears: Ears) -> None:
    """A notice would never be given where the note of it was refused."""
    submit(floor, ONE)
    here = worker(floor, ears)
    change = here.jobs.change

    def away(*_: Any) -> Any:
        raise StoreUnavailable("away")

    here.jobs.change = away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        deliver(here, floor.receive())
    here.jobs.change = change  # type: ignore[method-assign]
    floor.clock.sleep(60)
    floor.work(here)
    assert names(ears) == [ONE, ONE]


def test_a_deaf_target_is_told_later_and_the_others_only_once(floor: Floor, ears: Ears) -> None:
    """One receiver that is down would cost the others duplicates, or its own notice."""
    submit(floor, ONE, TWO)
    ears.deaf[ONE] = NotTold("down")
    handled, _ = floor.work(worker(floor, ears))
    assert not handled.ack
    assert view(floor.record)["notified"] is False
    assert [n["status"] for n in view(floor.record)["notify"]] == ["owed", "told"]
    ears.deaf.clear()
    floor.clock.sleep(5.0)
    handled, _ = floor.work(worker(floor, ears))
    assert handled.ack
    assert names(ears) == [TWO, ONE]
    assert floor.record.error is None


def test_a_gone_target_is_not_tried_again(floor: Floor, ears: Ears) -> None:
    """A receiver that said so would be bothered for a day."""
    submit(floor, ONE)
    ears.deaf[ONE] = Gone("it answered 410")
    handled, _ = floor.work(worker(floor, ears))
    assert handled.ack
    assert view(floor.record)["notified"] is False
    assert view(floor.record)["notify"] == [{"target": ONE, "status": "given up"}]
    assert floor.messages() == []


def test_a_target_that_stays_deaf_is_given_up_in_about_a_day(floor: Floor, ears: Ears) -> None:
    """A wrong address would keep messages going round for ever, or fill the dead-letter queue."""
    submit(floor, ONE)
    ears.deaf[ONE] = NotTold("down")
    begun, here, receives, most = floor.clock(), worker(floor, ears), 0, 0
    while floor.record.notices.owed or not floor.record.status.is_final:
        if (delivery := floor.queue.receive(visibility_seconds=60, wait_seconds=0)) is None:
            floor.clock.sleep(5)
            sweep(floor.jobs, floor.queue, after_seconds=60.0)
            continue
        receives += 1
        most = max(most, receives)
        if deliver(here, delivery).ack:
            floor.queue.ack(delivery)
            receives = 0
    assert floor.record.notices.rounds == MAX_ROUNDS
    assert floor.record.notices.given_up == (ONE,)
    assert 18 * 3600 < floor.clock() - begun < 36 * 3600
    assert most < MAX_RECEIVES / 3, "a queue gives a message up in the end"
    assert floor.messages() == []
    assert sweep(floor.jobs, floor.queue, after_seconds=60.0) == []


def test_a_worker_short_of_time_leaves_the_notice_to_another(floor: Floor, ears: Ears) -> None:
    """A function would be killed in the middle of a request, again and again."""
    submit(floor, ONE)
    floor.change(lambda r: r.cancelled())
    handled, _ = floor.work(worker(floor, ears), seconds=1.9)
    assert (handled.ack, ears.heard, floor.record.notices.rounds) == (False, [], 0)


def test_a_function_of_three_seconds_tells_in_the_time_it_has(floor: Floor, ears: Ears) -> None:
    """Where functions are short nobody would ever be told."""
    submit(floor, ONE)
    floor.change(lambda r: r.cancelled())
    granted = []

    def told(target: str, event: Event, seconds: float) -> None:
        granted.append(seconds)
        ears(target, event, seconds)

    handled, _ = floor.work(worker(floor, told), seconds=2.9)
    assert (handled.ack, names(ears)) == (True, [ONE])
    assert 1.0 <= granted[0] < 2.0


def test_where_there_is_time_for_one_only_each_has_its_turn(floor: Floor, ears: Ears) -> None:
    """Behind a target that never answers the others would never be told."""
    submit(floor, ONE, TWO)
    floor.change(lambda r: r.cancelled())

    def slow(target: str, event: Event, seconds: float) -> None:
        floor.clock.sleep(seconds)
        ears(target, event, seconds)

    ears.deaf[ONE] = NotTold("down")
    for _ in range(3):
        handled, _ = floor.work(worker(floor, slow), seconds=6.5)
        floor.clock.sleep(30)
    assert not handled.ack
    assert names(ears) == [TWO]


def test_a_retried_job_tells_of_its_next_end_too(floor: Floor, ears: Ears) -> None:
    """A person who retries would hear nothing, as everyone had been told of the failure."""
    submit(floor, ONE, max_failures=1)
    good, floor.kernel = floor.kernel, raising(ValueError("no"), 2)
    floor.work(worker(floor, ears))
    floor.change(Record.retried)
    assert floor.record.notices.owed == ()
    floor.queue.send(Message(job_id=JOB))
    floor.kernel = good
    floor.work(worker(floor, ears))
    kinds = [json.loads(event.body)["type"] for _, event in ears.heard]
    assert kinds == ["job.failed", "job.succeeded"]
    assert len({event.id for _, event in ears.heard}) == 2


@pytest.mark.parametrize(
    ("move", "owed"),
    [(Record.retried, ()), (lambda record: record.retried().failed("no again"), (ONE,))],
    ids=["retried", "failed again"],
)
def test_a_job_that_is_retried_while_it_is_told_of_keeps_its_next_notice(
    floor: Floor, ears: Ears, move: Callable[[Record], Record], owed: tuple[str, ...]
) -> None:
    """The note of the old end would stand for the new one, of which nobody has heard."""
    submit(floor, ONE, max_failures=1)
    floor.kernel = raising(ValueError("no"), 2)

    def meanwhile(target: str, event: Event, seconds: float) -> None:
        ears(target, event, seconds)
        floor.change(move)

    floor.work(worker(floor, meanwhile))
    assert floor.record.status is (Status.FAILED if owed else Status.QUEUED)
    assert (floor.record.notices.owed, floor.record.notices.rounds) == (owed, 0)


def test_a_sweep_wakes_a_job_whose_notice_is_owed(floor: Floor, ears: Ears) -> None:
    """A purged queue would swallow the notice."""
    submit(floor, ONE, send=False)
    floor.change(Record.cancelled)
    floor.clock.sleep(61)
    assert sweep(floor.jobs, floor.queue, after_seconds=60.0) == [JOB]
    floor.work(worker(floor, ears))
    assert names(ears) == [ONE]
    floor.clock.sleep(10**6)
    assert sweep(floor.jobs, floor.queue, after_seconds=60.0) == []


def test_a_large_result_is_left_out_and_that_is_said(floor: Floor) -> None:
    """SQS would refuse it, and nobody would be told at all."""
    floor.submit()
    big = floor.change(lambda r: r.succeeded({"digits": "9" * MAX_BYTES}))
    event = event_of(big)
    assert len(event.body) < 10_000
    data = json.loads(event.body)["data"]
    assert (data["result"], data["omitted"]) == (None, ["result"])


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        (["exec:rm x"], "sqs://queue-name"),
        (["file:///etc/passwd"], "sqs://queue-name"),
        (["ftp://a/b"], "sqs://queue-name"),
        (["https://user:pw@host/"], "sqs://queue-name"),
        (["https://host/a b"], "sqs://queue-name"),
        (["https://host/" + "a" * 500], "500 characters"),
        (["http://example.com/"], "https"),
        (["http://localhost:8000/"], "OUTLAST_NOTIFY_HOSTS"),
        ([f"https://{n}.example/" for n in range(5)], "4 targets"),
    ],
)
def test_a_target_that_cannot_be_is_refused_with_the_way_out(targets: list[str], why: str) -> None:
    """A job would run for hours, and then tell nobody."""
    settings = Settings.model_validate({"notify_secret": SECRET})
    with pytest.raises(InvalidTarget, match=why) as caught:
        checked_targets(targets, settings)
    assert "\n" not in str(caught.value)
    assert "pw@" not in str(caught.value)


def test_a_webhook_without_a_secret_is_refused_a_queue_is_not() -> None:
    """Receivers would be sent what they cannot verify."""
    with pytest.raises(InvalidTarget, match="OUTLAST_NOTIFY_SECRET"):
        checked_targets([ONE], Settings())
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/mine.fifo"
    assert checked_targets([TWO, TWO, url], Settings()) == (TWO, url)


def test_only_hosts_that_are_listed_are_allowed_where_there_is_a_list() -> None:
    """Whoever may submit jobs could post to a service within the network."""
    listed = Settings.model_validate(
        {"notify_secret": SECRET, "notify_hosts": "one.example, two,localhost:8000"}
    )
    allowed = (ONE, TWO, "http://localhost:8000/x")
    assert checked_targets(allowed, listed) == allowed
    for target in ("https://other.example/", "sqs://other", "http://localhost:8001/"):
        with pytest.raises(InvalidTarget, match="OUTLAST_NOTIFY_HOSTS"):
            checked_targets([target], listed)


def test_the_workers_own_queue_is_refused() -> None:
    """Each notice would end in the dead-letter queue, as a message that nobody knows."""
    with pytest.raises(InvalidTarget, match="workers read"):
        checked_targets([TWO], Settings(queue=TWO))
