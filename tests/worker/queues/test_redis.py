"""The queue in Redis: its consumers wait together, die, and outlive the server's restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.redis_client import connect
from outlast.worker.loops.consumer import WAIT_SECONDS, Consumer
from outlast.worker.queues import open_queue
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis import RedisQueue
from outlast.worker.queues.redis_scripts import DEAD_LETTERS, TOKENS, Keys
from tests.checkpoint.conftest import REAL_REDIS
from tests.checkpoint.lossy_proxy import LossyProxy
from tests.cli.process import until
from tests.process.faults import Valkey
from tests.servers import HOST, free_ports
from tests.serving import serving
from tests.worker.queues import backends
from tests.worker.queues.backends import Clock
from tests.worker.queues.test_conformance import LONG, look, take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server
    from tests.worker.floor import Floor
    from tests.worker.queues.backends import Backend

VISIBLE, BODIES, RECEIVES, DEAD, WAKE, LAST = Keys.of("jobs")
ONE = Message(job_id="a", slice=1)
TAKE = """
import sys, time
from outlast.worker.queues import open_queue
print(open_queue(sys.argv[1]).receive(visibility_seconds=0.5, wait_seconds=5).body, flush=True)
time.sleep(60)
"""


@pytest.fixture(params=REAL_REDIS)
def server(request: pytest.FixtureRequest) -> Server:
    """Each real server."""
    server: Server = request.getfixturevalue(f"{request.param.partition('-')[0]}_server")
    return server


@pytest.fixture
def admin(server: Server) -> Iterator[redis.Redis]:
    """A client that may do anything, on the server, emptied."""
    with closing(redis.Redis.from_url(server.url)) as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture
def queue(server: Server, admin: redis.Redis) -> Iterator[RedisQueue]:  # noqa: ARG001 - empties it
    """A queue as a worker opens it."""
    with closing(RedisQueue.from_url(server.url, "jobs")) as queue:
        yield queue


def receive(queue: RedisQueue, *, wait_seconds: float) -> Delivery | None:
    """Receive, and hide the message for long."""
    return queue.receive(visibility_seconds=LONG, wait_seconds=wait_seconds)


def await_waiting(admin: redis.Redis, consumers: int) -> None:
    """Wait until so many consumers wait for a token."""
    until(lambda: admin.info("clients")["blocked_clients"] == consumers)


def test_consumers_that_wait_share_the_messages(queue: RedisQueue, admin: redis.Redis) -> None:
    """Two workers would work on one job, or most of a fleet sleep while jobs wait."""
    jobs = {f"job-{number:03}" for number in range(200)}

    def drain(_: int) -> list[str]:
        received = []
        while delivery := receive(queue, wait_seconds=1.0):
            received.append(Message.parse(delivery.body).job_id)
            queue.ack(delivery)
        return received

    with ThreadPoolExecutor(4) as consumers:
        drained = consumers.map(drain, range(4))
        await_waiting(admin, 4)
        for job_id in sorted(jobs):
            queue.send(Message(job_id=job_id, slice=1))
        received = list(drained)
    assert sorted(job_id for each in received for job_id in each) == sorted(jobs)
    assert all(each == sorted(each) for each in received), "in the order in which they were sent"


@pytest.mark.usefixtures("admin")
def test_the_message_of_a_killed_worker_comes_again(queue: RedisQueue, server: Server) -> None:
    """Its job would stand still for ever."""
    queue.send(ONE)
    command = [sys.executable, "-c", TAKE, server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        assert worker.stdout.readline().strip() == ONE.body()
        worker.kill()
    delivery = receive(queue, wait_seconds=5.0)
    assert delivery
    assert delivery.body == ONE.body()
    assert delivery.receipt.endswith(":2")


def test_the_longest_visible_message_comes_first(queue: RedisQueue) -> None:
    """A job could starve behind newer ones, or behind one that is shown again and again."""
    for job_id in "abc":
        queue.send(Message(job_id=job_id, slice=1))
    queue.hide(take(queue), 0)
    assert [Message.parse(take(queue).body).job_id for _ in "bca"] == ["b", "c", "a"]


class Ticking(Clock):
    """A clock that no two calls find at one time."""

    def __call__(self) -> float:
        """Return the time, a millisecond after the last."""
        self.now += 0.001
        return self.now


MOVES = st.one_of(
    st.just(("send", 0)),
    st.just(("receive", 0)),
    st.tuples(st.sampled_from(["show", "hide", "ack"]), st.integers(0, 4)),
)


@given(moves=st.lists(MOVES, min_size=10, max_size=40))
@settings(deadline=None, max_examples=100)
def test_it_delivers_what_the_queue_in_a_file_delivers(moves: list[tuple[str, int]]) -> None:
    """What is shown of the protocol in a simulation, on a queue like that one, would not hold."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        both = [backends.sqlite(Path(folder) / "q.db", Ticking()), backends.fakeredis()]
        for backend in both:
            stack.callback(backend.close)
        first, second = ([*play(backend, moves), backend.dead()] for backend in both)
        assert first == second


def play(backend: Backend, moves: list[tuple[str, int]]) -> Iterator[str | None]:
    """Make these moves, and then receive what is left; yield what is delivered."""
    queue, deliveries = backend.queue, []
    for number, (move, which) in enumerate([*moves, *[("receive", 0)] * len(moves)]):
        if move == "send":
            queue.send(Message(job_id=f"job-{number}", slice=1))
        elif move == "receive":
            delivery = look(queue)
            deliveries += [delivery] if delivery else []
            yield delivery and f"{delivery.body} {delivery.receipt.partition(':')[2]}"
        elif which < len(deliveries):
            if move == "ack":
                queue.ack(deliveries[which])
            else:
                queue.hide(deliveries[which], 0 if move == "show" else LONG)


def test_a_message_shows_when_its_time_is_up_and_not_before(queue: RedisQueue) -> None:
    """A job that waits after an error would be tried at once; or a killed worker's never again."""
    queue.send(ONE, delay_seconds=0.3)
    begun = time.monotonic()
    assert look(queue) is None
    delivery = receive(queue, wait_seconds=5.0)
    assert delivery
    assert 0.25 < time.monotonic() - begun < 1.0
    queue.hide(delivery, 0.3)
    assert look(queue) is None
    assert receive(queue, wait_seconds=5.0)


@pytest.mark.parametrize("shown", ["sent", "hidden no longer"])
def test_a_consumer_that_waits_is_woken(queue: RedisQueue, admin: redis.Redis, shown: str) -> None:
    """Each slice of a job would begin up to a second late."""
    queue.send(ONE)
    held = take(queue)
    assert look(queue) is None
    with ThreadPoolExecutor(1) as consumer:
        delivery = consumer.submit(receive, queue, wait_seconds=5.0)
        await_waiting(admin, 1)
        begun = time.monotonic()
        if shown == "sent":
            queue.send(ONE)
        else:
            queue.hide(held, 0)
        assert delivery.result()
    assert time.monotonic() - begun < 0.5


def test_a_stop_signal_is_heard_within_a_second(
    floor: Floor, queue: RedisQueue, admin: redis.Redis
) -> None:
    """An idle worker would be killed by its platform, as if it had hung."""
    signalled_at = []

    def stop() -> None:
        await_waiting(admin, 1)
        signalled_at.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    floor.queue = queue  # type: ignore[assignment]
    stopper = threading.Thread(target=stop)
    stopper.start()
    assert Consumer(floor.process(), slice_seconds=1.0).run() == "SIGTERM"
    stopper.join()
    assert time.monotonic() - signalled_at[0] < WAIT_SECONDS + 0.5


def test_an_idle_consumer_costs_two_commands_a_second(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    """A service that charges for commands would bill a fleet that has nothing to do."""
    assert receive(queue, wait_seconds=0.01) is None
    admin.config_resetstat()
    assert receive(queue, wait_seconds=1.0) is None
    calls = admin.info("commandstats")
    assert (calls["cmdstat_evalsha"]["calls"], calls["cmdstat_blpop"]["calls"]) == (1, 1)


def test_a_short_time_out_of_the_connection_is_no_error(server: Server) -> None:
    """An idle worker would report a failure every second, and back off from jobs that come."""
    with closing(open_queue(f"{server.url}?socket_timeout=0.2")) as queue:
        assert receive(queue, wait_seconds=0.5) is None


def test_a_restart_of_the_server_loses_no_message(tmp_path: Path) -> None:
    """Jobs would sleep until a sweep; or every worker have to be restarted, too."""
    server = Valkey(tmp_path)
    try:
        with closing(open_queue(server.url)) as queue:
            for job_id in "abc":
                queue.send(Message(job_id=job_id, slice=1))
            first = take(queue)
            server.kill()
            with pytest.raises(QueueUnavailable, match="; check that the server runs") as caught:
                look(queue)
            assert "\n" not in str(caught.value)
            server.restart(down_seconds=0)
            assert [Message.parse(take(queue).body).job_id for _ in "bc"] == ["b", "c"]
            queue.hide(first, 0)
            queue.ack(take(queue))
            assert receive(queue, wait_seconds=0.1) is None
    finally:
        server.kill()


def test_a_server_that_forgot_all_gives_no_receipt_again(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    """The late ack of a slow worker would delete another job's message."""
    queue.send(ONE)
    stale = take(queue)
    admin.flushall()
    queue.send(Message(job_id="b", slice=1))
    current = take(queue)
    queue.ack(stale)
    queue.hide(current, 0)
    assert take(queue).body == current.body


def test_a_message_hidden_by_a_clock_that_was_wrong_comes_back(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    """After a server's start with a clock a year ahead, its messages would wait for a year."""
    queue.send(ONE)
    ((message_id, score),) = admin.zrange(VISIBLE, 0, -1, withscores=True)
    admin.zadd(VISIBLE, {message_id: score + 365 * 86_400e6})
    assert take(queue).body == ONE.body()


@pytest.mark.parametrize("marker", [b"EVALSHA", b"BLPOP"])
def test_a_lost_answer_is_no_lost_message(server: Server, queue: RedisQueue, marker: bytes) -> None:
    """A network hiccup would leave a job without a message."""
    with (
        serving(LossyProxy(server)) as proxy,
        closing(open_queue(f"redis://{HOST}:{proxy.port}")) as cut_off,
    ):
        assert cut_off.receive(visibility_seconds=0.1, wait_seconds=0) is None
        queue.send(ONE, delay_seconds=0.1)
        proxy.lose(marker, count=1)
        assert cut_off.receive(visibility_seconds=0.1, wait_seconds=5.0)
        assert proxy.lost == 1
    assert receive(queue, wait_seconds=5.0)


def test_an_interrupted_call_does_not_shift_the_answers(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker would take a token for a message, after a Ctrl-C while it waits."""
    queue.send(ONE)
    second = Message(job_id="b", slice=1)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "parse_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.send(second)
    assert [take(queue).body for _ in range(2)] == [ONE.body(), second.body()]
    assert look(queue) is None


def test_what_is_done_leaves_one_number(queue: RedisQueue, admin: redis.Redis) -> None:
    """A server that works through a million jobs would be full in the end."""
    for number in range(3 * TOKENS):
        queue.send(Message(job_id=f"job-{number}", slice=1))
    assert admin.llen(WAKE) == TOKENS
    while delivery := look(queue):
        queue.ack(delivery)
        queue.ack(delivery)
    assert list(admin.scan_iter()) == [LAST.encode()]


def test_the_oldest_dead_letters_leave_for_newer_ones(server: Server, admin: redis.Redis) -> None:
    """Messages that no worker understands would fill the server, and stop every job."""
    more = 250
    bodies = [
        Message(job_id=f"job-{number}", slice=1).body() for number in range(DEAD_LETTERS + more)
    ]
    with closing(RedisQueue(connect(server.url), "jobs", max_receives=0)) as queue:
        with admin.pipeline(transaction=False) as pipeline:
            for body in bodies:
                queue._send(queue._keys, [body, 0], client=pipeline)
            pipeline.execute()
        while admin.exists(VISIBLE):
            assert look(queue) is None
    assert admin.hlen(BODIES) == admin.zcard(DEAD) == DEAD_LETTERS
    oldest = admin.zrange(DEAD, 0, 0)[0]
    assert admin.hget(BODIES, oldest) == bodies[more].encode()


def test_a_full_server_lets_messages_be_acknowledged(queue: RedisQueue, admin: redis.Redis) -> None:
    """What is done would be done again and again, on a server that has no room for it."""
    queue.send(ONE)
    delivery = take(queue)
    admin.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable, match=r"^queue redis at .*; give the server more mem"):
            queue.send(ONE)
        queue.ack(delivery)
    finally:
        admin.config_set("maxmemory", 0)
    assert not admin.exists(VISIBLE, BODIES, RECEIVES)


def test_keys_of_someone_elses_are_named(queue: RedisQueue, admin: redis.Redis) -> None:
    """A person would look for the fault in the server's log, or another's data be destroyed."""
    admin.set(VISIBLE, "theirs")
    with pytest.raises(QueueUnavailable, match=r"WRONGTYPE.*; choose a database of your own"):
        look(queue)
    assert admin.get(VISIBLE) == b"theirs"


def test_messages_whose_bodies_were_evicted_are_forgotten(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    """On a server that evicts, each would be logged as an error thirty times, and a dead letter."""
    queue.send(ONE)
    admin.delete(BODIES)
    queue.send(Message(job_id="b", slice=1))
    assert Message.parse(take(queue).body).job_id == "b"
    assert admin.zcard(VISIBLE) == admin.hlen(RECEIVES) == 1


def test_queues_on_one_server_are_apart(server: Server, queue: RedisQueue) -> None:
    """A worker would receive the messages of jobs that it does not know."""
    queue.send(ONE)
    with closing(open_queue(f"{server.url}/0/others")) as others:
        assert others.is_empty()
        others.send(Message(job_id="b", slice=1))
        assert Message.parse(take(others).body).job_id == "b"
    assert take(queue).body == ONE.body()


def test_the_receipt_of_another_queue_fits_nothing(queue: RedisQueue) -> None:
    """A deployment that changes its queue would crash on the last messages of the old one."""
    queue.send(ONE)
    for receipt in ("", "handle", "1:2:3"):
        queue.ack(Delivery("{}", receipt))
        queue.hide(Delivery("{}", receipt), 1.0)
    assert take(queue).body == ONE.body()


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    """A person would read a traceback, or find the password in a log."""
    port = free_ports(1)[0]
    with closing(open_queue(f"redis://me:s3cret@{HOST}:{port}/0/jobs")) as queue:
        queue.reach()
        with pytest.raises(QueueUnavailable) as caught:
            queue.send(ONE)
    message = str(caught.value)
    assert message.startswith(f"queue redis at {HOST}:{port}: ")
    assert message.endswith("; check that the server runs and that the address is right")
    assert "s3cret" not in message
