"""The contract of a queue, tested with every queue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqs import SqsQueue
from tests.worker.queues.backends import MAX_RECEIVES

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery, Queue
    from tests.worker.queues.backends import Backend

LONG = 3600.0
THREADS = 8


def look(queue: Queue) -> Delivery | None:
    """Receive without waiting."""
    return queue.receive(visibility_seconds=LONG, wait_seconds=0)


def take(queue: Queue) -> Delivery:
    """Receive a message that must be there."""
    delivery = look(queue)
    assert delivery is not None
    return delivery


def test_a_sent_message_arrives_once_and_is_gone_after_its_ack(backend: Backend) -> None:
    """A job would never start, or its slices would be worked again and again."""
    message = Message(job_id="a", slice=7)
    backend.queue.send(message)
    delivery = take(backend.queue)
    assert Message.parse(delivery.body) == message
    backend.queue.ack(delivery)
    backend.queue.hide(delivery, 0)
    assert look(backend.queue) is None


def test_messages_that_are_sent_together_arrive_each_once(backend: Backend) -> None:
    """A part of a job would never be computed, or all of them twice."""
    messages = [Message(job_id="a", slice=1, birth="0" * 16, part=part) for part in range(23)]
    backend.queue.send_all(messages)
    deliveries = [take(backend.queue) for _ in messages]
    bodies = sorted(delivery.body for delivery in deliveries)
    assert bodies == sorted(message.body() for message in messages)
    assert look(backend.queue) is None


def test_batches_bring_each_message_once(backend: Backend) -> None:
    """Of the messages that a worker takes together, some would be lost, or come to others, too."""
    messages = [Message(job_id=f"job-{number}", slice=1) for number in range(23)]
    backend.queue.send_all(messages)
    deliveries = []
    while batch := backend.queue.receive_batch(5, visibility_seconds=LONG, wait_seconds=0):
        assert len(batch) <= 5
        deliveries += batch
    bodies = sorted(delivery.body for delivery in deliveries)
    assert bodies == sorted(message.body() for message in messages)
    left, done = deliveries[-1], deliveries[:-1]
    backend.queue.ack_batch(done)
    backend.queue.ack_batch(done)
    for delivery in deliveries:
        backend.queue.hide(delivery, 0)
    assert take(backend.queue).body == left.body
    assert look(backend.queue) is None


def test_nothing_to_receive_is_none(backend: Backend) -> None:
    """A worker on an empty queue would crash."""
    assert look(backend.queue) is None


def test_a_delivered_message_is_hidden_until_it_is_shown(backend: Backend) -> None:
    """Two workers would take the same job; or a released job would wait for its time-out."""
    backend.queue.send(Message(job_id="a", slice=1))
    first = take(backend.queue)
    assert look(backend.queue) is None
    backend.queue.hide(first, 0)
    assert take(backend.queue).body == first.body


def test_a_delivery_has_the_time_for_which_it_is_hidden(backend: Backend) -> None:
    """A worker would hide it once more, at the price of a request, or not at all."""
    backend.queue.send(Message(job_id="a", slice=1))
    delivery = backend.queue.receive(visibility_seconds=LONG, wait_seconds=1.0)
    assert delivery is not None
    assert delivery.hidden_seconds == LONG


def test_a_delivery_tells_whether_it_is_the_first(backend: Backend) -> None:
    """A job that takes its workers down would not be counted, or each small one written twice."""
    backend.queue.send(Message(job_id="a", slice=1))
    first = take(backend.queue)
    assert first.is_first
    backend.queue.hide(first, 0)
    assert not take(backend.queue).is_first


def test_a_queue_is_empty_where_no_message_waits(backend: Backend) -> None:
    """A sweep would take every job that waits for lost, or never find one that is."""
    assert backend.queue.is_empty()
    backend.queue.send(Message(job_id="a", slice=1))
    assert not backend.queue.is_empty()
    delivery = take(backend.queue)
    assert backend.queue.is_empty()
    backend.queue.hide(delivery, 0)
    assert not backend.queue.is_empty()
    backend.queue.ack(take(backend.queue))
    assert backend.queue.is_empty()


def test_a_message_is_a_dead_letter_after_max_receives(backend: Backend) -> None:
    """One bad message would occupy the workers for ever, or be lost without a trace."""
    backend.queue.send(Message(job_id="bad", slice=1))
    backend.queue.send(Message(job_id="good", slice=1))
    deliveries = [take(backend.queue) for _ in range(2)]
    bad, good = sorted(deliveries, key=lambda delivery: delivery.body)
    for _ in range(MAX_RECEIVES - 1):
        backend.queue.hide(bad, 0)
        bad = take(backend.queue)
    backend.queue.hide(bad, 0)
    assert look(backend.queue) is None
    assert backend.dead() == [bad.body]
    backend.queue.hide(good, 0)
    assert take(backend.queue).body == good.body


def test_a_late_hide_or_ack_is_no_error(backend: Backend) -> None:
    """A worker that was slow would crash instead of leaving the job to the other one."""
    backend.queue.send(Message(job_id="a", slice=1))
    stale = take(backend.queue)
    backend.queue.hide(stale, 0)
    current = take(backend.queue)
    backend.queue.hide(stale, LONG)
    backend.queue.ack(current)
    for delivery in (current, stale):
        backend.queue.ack(delivery)
        backend.queue.hide(delivery, LONG)
    assert look(backend.queue) is None


def test_the_receipt_of_an_earlier_delivery_deletes_nothing(backend: Backend) -> None:
    """A worker that lost its lease would delete the message that the job's new worker holds."""
    backend.queue.send(Message(job_id="a", slice=1))
    stale = take(backend.queue)
    backend.queue.hide(stale, 0)
    current = take(backend.queue)
    backend.queue.ack(stale)
    backend.queue.hide(stale, 0)
    assert look(backend.queue) is None
    backend.queue.hide(current, 0)
    assert take(backend.queue).body == current.body


def test_any_text_is_passed_through(backend: Backend) -> None:
    """A message of someone else's would stop the worker, instead of going to the dead letters."""

    class Foreign:
        job_id, slice, group_id = "x", 1, "x"

        def body(self) -> str:
            return '{"Records": "\N{SNOWMAN} \\" \'; DROP TABLE queue"}'

    backend.queue.send(cast("Message", Foreign()))
    assert take(backend.queue).body == Foreign().body()


def test_threads_never_hold_the_same_message(backend: Backend) -> None:
    """Two workers would spend their time on the same slice, and one would throw its away."""
    expected = {Message(job_id=f"job-{n}", slice=1).body() for n in range(100)}
    for body in expected:
        backend.queue.send(Message.parse(body))

    def drain(_: int) -> list[str]:
        bodies = []
        while delivery := look(backend.queue):
            bodies.append(delivery.body)
        return bodies

    with ThreadPoolExecutor(THREADS) as threads:
        received = [body for bodies in threads.map(drain, range(THREADS)) for body in bodies]
    assert sorted(received) == sorted(expected)


def test_many_messages_all_arrive(backend: Backend) -> None:
    """A large batch of jobs would stall the workers or lose some of them."""
    jobs = {f"job-{n}" for n in range(backend.many)}
    for job_id in jobs:
        backend.queue.send(Message(job_id=job_id, slice=1))
    while delivery := look(backend.queue):
        jobs.remove(Message.parse(delivery.body).job_id)
        backend.queue.ack(delivery)
    assert not jobs


def test_what_a_queue_holds_can_be_seen(backend: Backend) -> None:
    """An operator would not see that messages wait for workers, or that nobody could handle one."""
    queue = backend.queue
    if queue.backlog() is None:
        assert isinstance(queue, MemoryQueue)  # It ends with its process, and nobody looks at it.
        return
    assert queue.backlog() == (0, 0, 0, 0.0)
    for number in range(3):
        queue.send(Message(job_id=f"a{number}", slice=1))
    take(queue)
    if backend.clock:
        backend.clock.sleep(7.0)
    waiting, hidden, dead, oldest_seconds = queue.backlog() or ()
    assert (waiting, hidden, dead) == (2, 1, 0)
    if isinstance(queue, SqsQueue):
        assert oldest_seconds is None
    elif backend.clock:
        assert oldest_seconds == 7.0
    else:
        assert 0.0 < oldest_seconds < LONG
    while delivery := look(queue):
        queue.hide(delivery, 0)  # as a worker that cannot handle it does, until it is given up
    assert queue.backlog() == (0, 1, 2, 0.0)
