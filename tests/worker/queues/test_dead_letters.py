"""Dead letters: shown, redriven and dropped, on each queue that keeps them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

import boto3
import pytest

from outlast.checkpoint.redis_client import connect
from outlast.worker.queues import open_dead_letters
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.dead_letters import NoDeadLetterQueue
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis_dead_letters import RedisDeadLetters
from outlast.worker.queues.sqlite_dead_letters import SqliteDeadLetters
from outlast.worker.queues.sqs_dead_letters import SqsDeadLetters, dead_letter_queue
from tests.checkpoint.conftest import CLUSTERS, REAL_REDIS
from tests.worker.queues import backends
from tests.worker.queues.backends import MAX_RECEIVES, Clock
from tests.worker.queues.test_conformance import look, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outlast.worker.queues.contract import Queue
    from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters
    from tests.servers import Server

Pair = tuple["Queue", "DeadLetters"]


@pytest.fixture(params=["sqlite", "sqs", "sqs-fifo", *REAL_REDIS, *CLUSTERS])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    """A queue, and its dead letters."""
    if request.param == "sqlite":
        clock = Clock()
        backend = backends.sqlite(tmp_path / "outlast.db", clock)
        with closing(SqliteDeadLetters(tmp_path / "outlast.db", clock=clock)) as dead:
            yield backend.queue, dead
        backend.close()
        return
    if request.param in REAL_REDIS:
        server = request.getfixturevalue(f"{request.param.partition('-')[0]}_server")
        with closing(connect(server.url)) as client:
            yield backends.redis_like(client).queue, RedisDeadLetters(client, "jobs")
        return
    if request.param in CLUSTERS:
        with closing(connect(request.getfixturevalue(request.param).url)) as client:
            yield backends.redis_like(client).queue, RedisDeadLetters(client, "jobs")
        return
    server = cast("Server", request.getfixturevalue("ministack"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    ending = ".fifo" if request.param == "sqs-fifo" else ""
    yield backends.sqs(server.url, ending).queue, SqsDeadLetters("sqs://jobs" + ending)


def kill(queue: Queue, message: Message) -> None:
    """Send a message and receive it until it is given up."""
    queue.send(message)
    for _ in range(MAX_RECEIVES):
        queue.hide(take(queue), 0)
    assert look(queue) is None


def seen(dead: DeadLetters) -> list[DeadLetter]:
    """Return the dead letters, as one look shows them."""
    with dead.look() as messages:
        return list(messages)


def bodies(dead: DeadLetters) -> list[str]:
    """Return the bodies of the dead letters, sorted."""
    return sorted(letter.body for letter in seen(dead))


def test_without_dead_letters_there_is_nothing_to_see(pair: Pair) -> None:
    """A person would be shown messages that are on their way."""
    queue, dead = pair
    queue.send(Message(job_id="a", slice=1))
    assert seen(dead) == []


def test_a_dead_letter_is_shown_with_its_reason(pair: Pair) -> None:
    """A person would not know what was given up, nor why."""
    queue, dead = pair
    kill(queue, Message(job_id="a", slice=2))
    (letter,) = seen(dead)
    assert Message.parse(letter.body) == Message(job_id="a", slice=2)
    assert letter.receives >= MAX_RECEIVES
    assert letter.reason == f"received {MAX_RECEIVES} times and never acknowledged"
    assert letter.since > 0


def test_a_look_hides_nothing_from_the_next_one(pair: Pair) -> None:
    """A person who looks twice would believe that the dead letters are gone."""
    queue, dead = pair
    messages = [Message(job_id=job_id, slice=1) for job_id in "abc"]
    for message in messages:
        kill(queue, message)
    first, second = seen(dead), seen(dead)
    assert sorted(letter.body for letter in first) == [message.body() for message in messages]
    assert {letter.letter_id for letter in first} == {letter.letter_id for letter in second}


def test_a_look_that_ends_early_hides_nothing(pair: Pair) -> None:
    """`--limit 1`, or an error, would hide the rest for minutes."""
    queue, dead = pair
    for job_id in "abc":
        kill(queue, Message(job_id=job_id, slice=1))
    with dead.look() as messages:
        next(messages)
    assert len(seen(dead)) == 3


def test_more_than_one_page_of_dead_letters_is_shown(pair: Pair) -> None:
    """A person would see the first ten and take them for all."""
    queue, dead = pair
    jobs = [f"job-{number:02}" for number in range(12)]
    for job_id in jobs:
        kill(queue, Message(job_id=job_id, slice=1))
    assert bodies(dead) == [Message(job_id=job_id, slice=1).body() for job_id in jobs]


def test_a_message_that_is_redriven_arrives_as_a_new_one(pair: Pair) -> None:
    """What was given up for a fault that is mended would never be done; or be given up at once."""
    queue, dead = pair
    kill(queue, Message(job_id="a", slice=2))
    kill(queue, Message(job_id="b", slice=2))
    with dead.look() as messages:
        letter = next(letter for letter in messages if '"a"' in letter.body)
        dead.redrive(letter)
    delivery = take(queue)
    assert delivery.body == letter.body
    for _ in range(MAX_RECEIVES - 1):  # as often as any new one
        queue.hide(delivery, 0)
        delivery = take(queue)
    assert bodies(dead) == [Message(job_id="b", slice=2).body()]
    queue.ack(delivery)
    assert look(queue) is None


def test_what_died_twice_can_be_redriven_twice(pair: Pair) -> None:
    """The second attempt would be dropped as a duplicate, without a word."""
    queue, dead = pair
    kill(queue, Message(job_id="a", slice=2))
    for _ in range(2):
        with dead.look() as messages:
            dead.redrive(next(messages))
        for _ in range(MAX_RECEIVES):
            queue.hide(take(queue), 0)
        assert look(queue) is None
    assert len(seen(dead)) == 1


def test_a_message_that_is_dropped_is_gone(pair: Pair) -> None:
    """Dead letters could never be cleared."""
    queue, dead = pair
    kill(queue, Message(job_id="a", slice=2))
    with dead.look() as messages:
        (letter,) = messages
        dead.drop(letter)
        dead.drop(letter)
    assert seen(dead) == []
    assert look(queue) is None


def test_a_body_of_someone_elses_is_sent_as_it_is(pair: Pair) -> None:
    """A message that ended up here by mistake would be changed on its way."""
    queue, dead = pair

    class Foreign:
        job_id, slice, group_id = "x", 1, "x"

        def body(self) -> str:
            return "anything: \N{SNOWMAN} \" '; DROP TABLE outlast_messages"

    kill(queue, cast("Message", Foreign()))
    with dead.look() as messages:
        dead.redrive(next(messages))
    assert take(queue).body == Foreign().body()


@pytest.mark.parametrize("pair", ["sqlite", *REAL_REDIS], indirect=True)
def test_a_stale_receipt_does_not_fit_a_redriven_message(pair: Pair) -> None:
    """A worker that froze before its message died would delete the one that a person sent again."""
    queue, dead = pair
    queue.send(Message(job_id="a", slice=1))
    stale = take(queue)
    queue.hide(stale, 0)
    for _ in range(MAX_RECEIVES - 1):
        queue.hide(take(queue), 0)
    assert look(queue) is None
    with dead.look() as messages:
        (letter,) = messages
        dead.redrive(letter)
        dead.redrive(letter)
    current = take(queue)
    queue.ack(stale)
    queue.hide(current, 0)
    again = take(queue)
    queue.ack(again)
    assert look(queue) is None, "it was sent twice"


def test_a_queue_without_a_dead_letter_queue_says_so(
    ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would take "nothing given up" for good news."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    boto3.client("sqs").create_queue(QueueName="jobs")
    with pytest.raises(NoDeadLetterQueue, match="jobs has no dead-letter queue: give it a Redrive"):
        seen(open_dead_letters("sqs://jobs"))


def test_a_redrive_policy_that_cannot_be_read_is_named() -> None:
    """A person would get a traceback."""
    for policy in ("", "[]", '{"deadLetterTargetArn": "a:b"}', '{"maxReceiveCount": "x"}'):
        with pytest.raises(QueueUnavailable, match="http://h/1/q: its RedrivePolicy cannot be rea"):
            dead_letter_queue("http://h/1/q", policy)
    policy = '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:1:dead", "maxReceiveCount": "10"}'
    assert dead_letter_queue("http://h/1/q", policy)[0] == "http://h/1/dead"
