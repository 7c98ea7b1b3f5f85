"""Batches of messages: small jobs cost fewer requests, and nobody waits for a long one."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.inbox import RECENT
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.slices.brevity import Brevity
from tests.fakes import HookedQueue
from tests.worker.floor import Floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.worker.queues.contract import Delivery


class BatchQueue(HookedQueue):
    """A queue in this process that delivers and deletes in batches, and notes their sizes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.received: list[int] = []
        self.acked: list[int] = []

    def receive_batch(
        self, most: int, *, visibility_seconds: float, wait_seconds: float
    ) -> list[Delivery]:
        """Return as many as there are."""
        first = self.receive(visibility_seconds=visibility_seconds, wait_seconds=wait_seconds)
        batch = [] if first is None else [first]
        while batch and len(batch) < most and (delivery := self.look(visibility_seconds)):
            batch.append(delivery)
        self.received.append(len(batch))
        return batch

    def ack_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Delete them one by one."""
        super().ack_batch(deliveries)
        self.acked.append(len(deliveries))


@pytest.fixture
def floor() -> Floor:
    """A floor with such a queue, and jobs of a few milliseconds."""
    floor = Floor(step_seconds=0.001)
    floor.queue = BatchQueue(clock=floor.clock, sleep=floor.clock.sleep)
    return floor


def submit(floor: Floor, count: int, **fields: Any) -> list[str]:
    """Submit so many jobs of one step."""
    names = [f"job-{len(floor.register.values)}-{number}" for number in range(count)]
    for name in names:
        floor.submit(name, **{"steps": 1} | fields)
    return names


def warm(floor: Floor) -> Consumer:
    """A worker with slices of a minute, whose last jobs were short."""
    worker = Consumer(floor.process(), slice_seconds=60.0)
    submit(floor, RECENT)
    worker.run(max_slices=RECENT)
    return worker


def visible(floor: Floor) -> int:
    """Return how many messages another worker could receive now."""
    deliveries = []
    while delivery := floor.queue.look(60.0):
        deliveries.append(delivery)
    for delivery in deliveries:
        floor.queue.hide(delivery, 0)
    return len(deliveries)


def test_jobs_of_milliseconds_come_ten_at_a_time(floor: Floor) -> None:
    """On SQS each would cost two requests; on a distant server, its round trips."""
    queue = floor.queue
    assert isinstance(queue, BatchQueue)
    worker = warm(floor)
    names = submit(floor, 30)
    worker.run(max_slices=30)
    assert queue.received == [1] * RECENT + [10, 10, 10]
    assert queue.acked == [1] * RECENT + [10, 10, 10]
    assert all(floor.jobs.load(name).record.status.is_final for name in names)


def test_long_jobs_come_one_by_one(floor: Floor) -> None:
    """They would be hidden from workers that have nothing to do."""
    queue = floor.queue
    assert isinstance(queue, BatchQueue)
    worker = warm(floor)
    floor.step_seconds = 0.3
    submit(floor, 1)
    worker.run(max_slices=1)
    floor.step_seconds = 0.001
    submit(floor, RECENT + 10)
    queue.received.clear()
    worker.run(max_slices=RECENT + 10)
    assert queue.received == [1] * RECENT + [10]


def test_a_worker_that_was_idle_takes_one(floor: Floor) -> None:
    """Of a burst of long jobs each idle worker would take ten, and nine would wait."""
    queue = floor.queue
    assert isinstance(queue, BatchQueue)
    worker = warm(floor)
    worker.run(max_idle_seconds=0.5)
    submit(floor, 5)
    queue.received.clear()
    worker.run(max_slices=1)
    assert queue.received == [1]


def test_a_message_that_calls_for_nothing_says_nothing_of_jobs(floor: Floor) -> None:
    """A worker that has dropped ten duplicates would take ten jobs of an hour together."""
    queue = floor.queue
    assert isinstance(queue, BatchQueue)
    worker = Consumer(floor.process(), slice_seconds=60.0)
    submit(floor, 1)
    for _ in range(2 * RECENT):
        floor.queue.send(Message(job_id="job-0-0", slice=1))
    worker.run(done=lambda: queue.received == [1] * (2 * RECENT))
    assert max(queue.received) == 1


def test_a_worker_never_takes_more_than_it_may_run(floor: Floor) -> None:
    """The messages beyond its last slice would be received for nothing."""
    queue = floor.queue
    assert isinstance(queue, BatchQueue)
    worker = warm(floor)
    submit(floor, 20)
    queue.received.clear()
    worker.run(max_slices=4)
    assert queue.received == [4]
    assert visible(floor) == 16


def test_messages_behind_a_long_slice_go_to_others(floor: Floor) -> None:
    """Ten jobs would wait an hour for the first, while other workers are idle."""
    worker = warm(floor)
    submit(floor, 5)
    left: list[int] = []

    def long_step(_: int) -> None:
        if not left:
            floor.busy(3.0)
            left.append(visible(floor))

    floor.watched = long_step
    worker.run(max_slices=5)
    assert left == [4]


def test_a_stopped_worker_gives_its_messages_back(floor: Floor) -> None:
    """They would wait for the end of their visibility timeout, on Lambda's queues for hours."""
    worker = warm(floor)
    submit(floor, 5)
    floor.watched = lambda _: signal.raise_signal(signal.SIGTERM)
    assert worker.run() == "SIGTERM"
    assert visible(floor) == 5, "the one in hand has its continuation"


def test_what_is_done_is_acknowledged_before_the_worker_ends(floor: Floor) -> None:
    """Other workers would receive the messages of jobs that are over."""
    worker = warm(floor)
    submit(floor, 3)
    done = iter([False, False, True])
    worker.run(done=lambda: next(done))
    assert visible(floor) == 1


def test_a_queue_that_is_away_at_the_end_loses_nothing(floor: Floor) -> None:
    """A worker that is told to stop would crash instead, and its platform would start it anew."""
    worker = warm(floor)
    submit(floor, 3)

    def away(operation: str) -> None:
        if operation in {"hide", "ack"}:
            raise QueueUnavailable("away")

    floor.queue.before = away
    done = iter([False, True])
    worker.run(done=lambda: next(done))
    floor.queue.before = lambda _: None
    floor.clock.sleep(3600.0)
    assert len(floor.messages()) == 3


def test_an_outage_leaves_no_message_with_a_worker_that_waits(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten jobs would wait with it for its store, which others may reach."""
    worker = warm(floor)
    monkeypatch.setattr(Brevity, "is_brief", lambda *_: False)  # so that it meets the claim
    submit(floor, 5)
    waiting: list[int] = []

    def away(operation: str) -> None:
        if operation == "put" and len(waiting) < 9:
            waiting.append(visible(floor))
            raise StoreUnavailable("away")

    floor.register.before = away
    worker.run(max_slices=5)
    assert waiting[0] == 0
    assert max(waiting) == 4
