"""The notices of a finished job: to whom, when, how often, and after a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.checkpoint.view import view
from outlast.worker.jobs.sweep import sweep
from outlast.worker.notify.errors import Gone, NotDelivered
from outlast.worker.notify.notice import MAX_BYTES, notice_of
from outlast.worker.notify.target import InvalidTarget, checked_targets
from outlast.worker.queues.message import Message
from outlast.worker.queues.receives import MAX_RECEIVES
from outlast.worker.settings import Settings
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.owed_notices import MAX_ROUNDS
from tests.kernels import expected, raising
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor, Killed

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.notify.notice import Notice
    from outlast.worker.slices.worker_process import WorkerProcess

ONE, TWO = "https://one.example/done", "sqs://two"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Recipients:
    """The targets of notices.

    Attributes:
        received: each target with its notice, in order.
        errors: what a target raises instead of accepting a notice.
    """

    def __init__(self) -> None:
        self.received: list[tuple[str, Notice]] = []
        self.errors: dict[str, NotDelivered] = {}

    def __call__(self, target: str, notice: Notice, _seconds: float) -> None:
        """Accept a notice, or raise."""
        if target in self.errors:
            raise self.errors[target]
        self.received.append((target, notice))


@pytest.fixture
def recipients() -> Recipients:
    """Targets that accept everything."""
    return Recipients()


def worker(floor: Floor, recipients: Any) -> WorkerProcess:
    """A worker that notifies them."""
    return replace(floor.process(), notify=recipients)


def submit(floor: Floor, *targets: str, **options: Any) -> None:
    """Submit the job with targets."""
    floor.submit(**options)
    floor.change(lambda r: changed(r, targets=targets))


def notified(recipients: Recipients) -> list[str]:
    """Return the targets that accepted a notice, in order."""
    return [target for target, _ in recipients.received]


def test_all_targets_are_notified_once_of_the_result(floor: Floor, recipients: Recipients) -> None:
    """A person who waits for a result would have to ask for it."""
    submit(floor, ONE, TWO)
    handled, _ = floor.work(worker(floor, recipients), seconds=4.0)
    assert (handled.ack, recipients.received) == (True, [])
    handled, _ = floor.work(worker(floor, recipients))
    assert handled.ack
    assert notified(recipients) == [ONE, TWO]
    body = json.loads(recipients.received[0][1].body)
    assert body["type"] == "job.succeeded"
    assert body["data"]["result"] == expected(STEPS)
    assert view(floor.record)["notified"] is True
    assert floor.messages() == []


@pytest.mark.parametrize("how", ["failed", "given up", "cancelled"])
def test_there_is_a_notice_of_other_ends_as_well(
    floor: Floor, recipients: Recipients, how: str
) -> None:
    """A person would wait for ever, which is worse than a notice of a failure."""
    submit(floor, ONE, max_failures=1)
    if how == "failed":
        floor.kernel = raising(ValueError("no"), 2)
    elif how == "given up":
        floor.change(lambda r: changed(r, stalls=r.limits.max_stalls))
    else:
        floor.change(Record.cancelled)
    handled, _ = floor.work(worker(floor, recipients))
    assert handled.ack
    (notice,) = [notice for _, notice in recipients.received]
    status = "cancelled" if how == "cancelled" else "failed"
    assert json.loads(notice.body)["type"] == f"job.{status}"


def test_a_job_without_targets_costs_nothing(floor: Floor, recipients: Recipients) -> None:
    """Every job would pay for what few use."""
    floor.submit()
    submitted = floor.record.revision.writes
    floor.work(worker(floor, recipients))
    claim_and_end = 2
    assert floor.record.revision.writes == submitted + claim_and_end + floor.record.usage.saves
    assert view(floor.record)["notified"] is None
    assert recipients.received == []


def test_a_worker_killed_after_a_notice_repeats_it_with_the_same_id(
    floor: Floor, recipients: Recipients
) -> None:
    """The notice would be lost with the worker, or count as another one."""
    submit(floor, ONE)
    delivery = floor.receive()

    def accept_and_die(target: str, notice: Notice, seconds: float) -> None:
        recipients(target, notice, seconds)
        raise Killed

    with pytest.raises(Killed):
        deliver(worker(floor, accept_and_die), delivery)
    assert floor.record.notices.owed == (ONE,)
    floor.clock.sleep(60)
    handled, _ = floor.work(worker(floor, recipients))
    assert handled.ack
    assert notified(recipients) == [ONE, ONE]
    assert len({notice.id for _, notice in recipients.received}) == 1
    assert floor.record.notices.owed == ()


def test_a_store_that_refuses_the_write_makes_a_repetition(
    floor: Floor, recipients: Recipients
) -> None:
    """A notice would be lost where the store does not answer after it."""
    submit(floor, ONE)
    here = worker(floor, recipients)
    change = here.jobs.change

    def away(*_: Any) -> Any:
        raise StoreUnavailable("away")

    here.jobs.change = away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        deliver(here, floor.receive())
    here.jobs.change = change  # type: ignore[method-assign]
    floor.clock.sleep(60)
    floor.work(here)
    assert notified(recipients) == [ONE, ONE]


def test_a_target_that_is_down_is_notified_later_and_the_others_only_once(
    floor: Floor, recipients: Recipients
) -> None:
    """One receiver that is down would cost the others duplicates, or its own notice."""
    submit(floor, ONE, TWO)
    recipients.errors[ONE] = NotDelivered("down")
    handled, _ = floor.work(worker(floor, recipients))
    assert not handled.ack
    assert view(floor.record)["notified"] is False
    assert [n["status"] for n in view(floor.record)["notify"]] == ["owed", "told"]
    recipients.errors.clear()
    floor.clock.sleep(5.0)
    handled, _ = floor.work(worker(floor, recipients))
    assert handled.ack
    assert notified(recipients) == [TWO, ONE]
    assert floor.record.error is None


def test_a_gone_target_is_not_tried_again(floor: Floor, recipients: Recipients) -> None:
    """A receiver that said so would be bothered for a day."""
    submit(floor, ONE)
    recipients.errors[ONE] = Gone("it answered 410")
    handled, _ = floor.work(worker(floor, recipients))
    assert handled.ack
    assert view(floor.record)["notified"] is False
    assert view(floor.record)["notify"] == [{"target": ONE, "status": "given up"}]
    assert floor.messages() == []


def test_a_target_that_stays_down_is_abandoned_in_about_a_day(
    floor: Floor, recipients: Recipients
) -> None:
    """A wrong address would keep messages going round for ever, or fill the dead-letter queue."""
    submit(floor, ONE)
    recipients.errors[ONE] = NotDelivered("down")
    begun, here, receives, most = floor.clock(), worker(floor, recipients), 0, 0
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


def test_while_slow_targets_are_told_no_other_worker_tells_them(
    floor: Floor, recipients: Recipients
) -> None:
    """Each idle worker would tell them as well, which makes a slow receiver slower."""
    submit(floor, ONE, TWO)
    floor.change(lambda r: r.cancelled())
    others = []

    def slow(target: str, notice: Notice, seconds: float) -> None:
        floor.clock.sleep(seconds)
        others.append(floor.queue.look(1.0))
        recipients(target, notice, seconds)

    handled, _ = floor.work(worker(floor, slow))
    assert (handled.ack, notified(recipients)) == (True, [ONE, TWO])
    assert others == [None, None]


def test_a_worker_short_of_time_leaves_the_notice_to_another(
    floor: Floor, recipients: Recipients
) -> None:
    """A function would be killed in the middle of a request, again and again."""
    submit(floor, ONE)
    floor.change(lambda r: r.cancelled())
    handled, _ = floor.work(worker(floor, recipients), seconds=1.9)
    assert (handled.ack, recipients.received, floor.record.notices.rounds) == (False, [], 0)


def test_a_worker_short_of_time_does_not_receive_the_message_until_then(
    floor: Floor, recipients: Recipients
) -> None:
    """In its last second it would use up all receives, and the notice be a dead letter."""
    submit(floor, ONE)
    floor.change(lambda r: r.cancelled())
    floor.work(worker(floor, recipients), seconds=1.5)
    assert floor.queue.receive(visibility_seconds=4.0, wait_seconds=1.4) is None
    assert floor.queue.receive(visibility_seconds=4.0, wait_seconds=0.2) is not None


def test_a_function_of_three_seconds_has_time_for_a_notice(
    floor: Floor, recipients: Recipients
) -> None:
    """Where functions are short no notice would ever be sent."""
    submit(floor, ONE)
    floor.change(lambda r: r.cancelled())
    granted = []

    def accept(target: str, notice: Notice, seconds: float) -> None:
        granted.append(seconds)
        recipients(target, notice, seconds)

    handled, _ = floor.work(worker(floor, accept), seconds=2.9)
    assert (handled.ack, notified(recipients)) == (True, [ONE])
    assert 1.0 <= granted[0] < 2.0


def slowly(floor: Floor, recipients: Recipients) -> Callable[[str, Notice, float], None]:
    """Return recipients that take all the time that there is for each."""

    def accept(target: str, notice: Notice, seconds: float) -> None:
        floor.clock.sleep(seconds)
        recipients(target, notice, seconds)

    return accept


def test_with_time_for_one_target_only_each_has_its_turn(
    floor: Floor, recipients: Recipients
) -> None:
    """Behind a target that never answers the others would never get a notice."""
    submit(floor, ONE, TWO)
    floor.change(lambda r: r.cancelled())
    recipients.errors[ONE] = NotDelivered("down")
    for _ in range(3):
        handled, _ = floor.work(worker(floor, slowly(floor, recipients)), seconds=6.5)
        floor.clock.sleep(30)
    assert not handled.ack
    assert notified(recipients) == [TWO]


def test_a_target_for_which_there_was_no_time_is_told_at_once(
    floor: Floor, recipients: Recipients
) -> None:
    """Behind a slow target it would wait as if it were down: for hours, in the end."""
    submit(floor, ONE, TWO)
    floor.change(lambda r: r.cancelled())
    for _ in range(2):
        floor.work(worker(floor, slowly(floor, recipients)), seconds=6.5)
    assert notified(recipients) == [ONE, TWO]


def test_a_retried_job_gives_notice_of_its_next_end_too(
    floor: Floor, recipients: Recipients
) -> None:
    """A person who retries would hear nothing, as there was a notice of the failure."""
    submit(floor, ONE, max_failures=1)
    good, floor.kernel = floor.kernel, raising(ValueError("no"), 2)
    floor.work(worker(floor, recipients))
    floor.change(Record.retried)
    assert floor.record.notices.owed == ()
    floor.queue.send(Message(job_id=JOB))
    floor.kernel = good
    floor.work(worker(floor, recipients))
    kinds = [json.loads(notice.body)["type"] for _, notice in recipients.received]
    assert kinds == ["job.failed", "job.succeeded"]
    assert len({notice.id for _, notice in recipients.received}) == 2


def test_a_job_that_ends_again_as_the_store_lost_its_end_repeats_its_notice(
    floor: Floor, recipients: Recipients
) -> None:
    """A receiver that drops repetitions by their id would book the same result twice."""
    submit(floor, ONE)
    floor.work(worker(floor, recipients), seconds=5.0)
    earlier = dict(floor.register.values)
    floor.work(worker(floor, recipients))
    floor.register.values.update(earlier)
    floor.queue.send(Message(job_id=JOB, slice=9))
    for _ in range(6):
        if not floor.record.status.is_final:
            floor.work(worker(floor, recipients), seconds=3.0)
    assert notified(recipients) == [ONE, ONE]
    assert len({notice.id for _, notice in recipients.received}) == 1


@pytest.mark.parametrize(
    ("move", "owed"),
    [
        (Record.retried, ()),
        (lambda record: record.retried().failed("no again"), (ONE,)),
        (lambda record: record.model_copy(update={"created_at": record.created_at + 1}), (ONE,)),
    ],
    ids=["retried", "failed again", "deleted, submitted and failed again"],
)
def test_a_job_that_goes_on_during_its_notice_keeps_the_next_one(
    floor: Floor, recipients: Recipients, move: Callable[[Record], Record], owed: tuple[str, ...]
) -> None:
    """The notice of the old end would count for the new one."""
    submit(floor, ONE, max_failures=1)
    floor.kernel = raising(ValueError("no"), 2)

    def meanwhile(target: str, notice: Notice, seconds: float) -> None:
        recipients(target, notice, seconds)
        floor.change(move)

    floor.work(worker(floor, meanwhile))
    assert floor.record.status is (Status.FAILED if owed else Status.QUEUED)
    assert (floor.record.notices.owed, floor.record.notices.rounds) == (owed, 0)


def test_a_sweep_wakes_a_job_whose_notice_is_owed(floor: Floor, recipients: Recipients) -> None:
    """A purged queue would swallow the notice."""
    submit(floor, ONE, send=False)
    floor.change(Record.cancelled)
    floor.clock.sleep(61)
    assert sweep(floor.jobs, floor.queue, after_seconds=60.0) == [JOB]
    floor.work(worker(floor, recipients))
    assert notified(recipients) == [ONE]
    floor.clock.sleep(10**6)
    assert sweep(floor.jobs, floor.queue, after_seconds=60.0) == []


def test_a_large_result_is_left_out_and_named(floor: Floor) -> None:
    """SQS would refuse the notice."""
    floor.submit()
    big = floor.change(lambda r: r.succeeded({"digits": "9" * MAX_BYTES}))
    notice = notice_of(big)
    assert len(notice.body) < 10_000
    data = json.loads(notice.body)["data"]
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
def test_a_bad_target_is_refused_with_the_way_out(targets: list[str], why: str) -> None:
    """A job would run for hours, and then nobody would hear of it."""
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


def test_a_list_of_hosts_allows_no_others() -> None:
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
    """Each notice would end in the dead-letter queue, as a foreign message."""
    with pytest.raises(InvalidTarget, match="workers read"):
        checked_targets([TWO], Settings(queue=TWO))
