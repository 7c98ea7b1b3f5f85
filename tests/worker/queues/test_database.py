"""Store and queue in one database: what happens there in one step, with every such pair."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest
import redis
from fakeredis import FakeRedis

from outlast.checkpoint.errors import StoreUnavailable, VersionConflict
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.registers.redis import RedisRegister
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.worker.queues import open_queue
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis import RedisQueue
from outlast.worker.queues.sqlite import SqliteQueue
from tests import servers
from tests.checkpoint.conftest import REAL_REDIS
from tests.checkpoint.lossy_proxy import LossyProxy
from tests.servers import HOST
from tests.serving import serving
from tests.worker.queues.test_conformance import look, take

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.checkpoint.register import Register
    from outlast.worker.queues.contract import Delivery, Queue
    from outlast.worker.queues.database import Database
    from tests.servers import Server

KEY = "jobs/a"
FIRST, SECOND = Message(job_id="a", slice=1), Message(job_id="a", slice=2)


class Both(NamedTuple):
    """A register and a queue, and the database that holds both."""

    register: Register
    queue: Queue
    database: Database


@pytest.fixture(params=["sqlite", "fakeredis", *REAL_REDIS])
def both(request: pytest.FixtureRequest) -> Both:
    """Each database in turn, empty."""
    if request.param == "sqlite":
        path = request.getfixturevalue("tmp_path") / "outlast.db"
        return _both(SqliteRegister(path), SqliteQueue(path))
    if request.param == "fakeredis":
        return _both(*_on(FakeRedis()))
    server = request.getfixturevalue(f"{request.param.partition('-')[0]}_server")
    return _both(*_on(connect(server.url)))


def _on(client: redis.Redis) -> tuple[RedisRegister, RedisQueue]:
    client.flushall()
    return RedisRegister(client), RedisQueue(client, "jobs")


def _both(register: Register, queue: Queue) -> Both:
    database = queue.database_with(register)
    assert database is not None
    return Both(register, queue, database)


def receive(both: Both, most: int = 10) -> list[Delivery]:
    """Receive what there is, without waiting."""
    return both.database.receive_batch(most, visibility_seconds=60.0, wait_seconds=0)


def test_a_write_sends_and_acknowledges(both: Both) -> None:
    """A slice would end with its continuation missing, or with its own message still there."""
    both.queue.send(FIRST)
    done = take(both.queue)
    version = both.database.put(KEY, b"one", expected=None, message=SECOND, done=done)
    assert both.register.read(KEY) == (b"one", version)
    assert Message.parse(take(both.queue).body) == SECOND
    both.queue.hide(done, 0)
    assert look(both.queue) is None


def test_a_write_alone_leaves_the_queue_as_it_is(both: Both) -> None:
    """The end of a job would send a message that is no message."""
    version = both.database.put(KEY, b"one", expected=None)
    both.database.put(KEY, b"two", expected=version)
    assert look(both.queue) is None


def test_a_worker_that_has_lost_the_job_sends_nothing(both: Both) -> None:
    """Its message would begin a slice that the new holder has in hand; its own would be lost."""
    both.queue.send(FIRST)
    done = take(both.queue)
    version = both.register.put(KEY, b"one", expected=None)
    both.register.put(KEY, b"two", expected=version)
    for expected in (version, None):
        with pytest.raises(VersionConflict):
            both.database.put(KEY, b"late", expected=expected, message=SECOND, done=done)
    assert look(both.queue) is None
    both.queue.hide(done, 0)
    assert Message.parse(take(both.queue).body) == FIRST


def test_a_stale_receipt_acknowledges_nothing(both: Both) -> None:
    """A worker that was frozen would delete the message on which another one works."""
    both.queue.send(FIRST)
    stale = take(both.queue)
    both.queue.hide(stale, 0)
    held = take(both.queue)
    both.database.put(KEY, b"one", expected=None, done=stale)
    both.queue.hide(held, 0)
    assert Message.parse(take(both.queue).body) == FIRST


def test_messages_come_with_their_jobs_or_without(both: Both) -> None:
    """A worker would ask for each job again; or take another job's record for this one's."""
    jobs = JobStore(both.register)
    for job_id in ("a", "b"):
        jobs.submit(Record(job_id=job_id, kernel="k", params={}, created_at=0.0, updated_at=0.0))
    both.queue.send(FIRST)
    both.queue.send(Message(job_id="unknown", slice=1))
    both.queue.send(Message(job_id="b", slice=1, birth="0" * 16, part=3))
    batch = receive(both)
    assert len(batch) == (1 if isinstance(both.queue, SqliteQueue) else 3)
    for delivery in batch:
        message = Message.parse(delivery.body)
        if delivery.stored is not None:
            assert message == FIRST
            assert jobs.load("a", delivery.stored) == jobs.load("a")
    assert isinstance(both.queue, SqliteQueue) or batch[0].stored is not None


@pytest.mark.parametrize("server", REAL_REDIS)
def test_a_repeated_write_sends_once(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py repeats a call whose answer was lost: the job would have one message too many."""
    url = request.getfixturevalue(f"{server.partition('-')[0]}_server").url
    _, queue, database = _both(*_on(connect(url)))
    monkeypatch.setattr(secrets, "token_hex", lambda _: "0" * 32)
    versions = [database.put(KEY, b"one", expected=None, message=SECOND) for _ in range(2)]
    assert versions == ["0" * 32] * 2
    take(queue)
    assert look(queue) is None


def test_a_failover_behind_one_address_is_followed() -> None:
    """A slice's work would be lost, as each attempt to end it went to what was the primary."""
    with (
        servers.valkey() as old,
        servers.valkey() as new,
        serving(LossyProxy(old)) as proxy,
        closing(redis.Redis.from_url(old.url)) as admin,
    ):
        url = f"redis://{HOST}:{proxy.port}"
        register, queue = open_register(url), open_queue(url)
        database = _both(register, queue).database
        version = database.put(KEY, b"first", expected=None)
        proxy.behind = new
        admin.replicaof(HOST, new.port)
        with pytest.raises(StoreUnavailable, match="connect to the primary"):
            database.put(KEY, b"second", expected=version, message=SECOND)
        database.put(KEY, b"second", expected=None, message=SECOND)
        assert Message.parse(take(queue).body) == SECOND


@pytest.mark.parametrize("command", ["get", "lpush", "hset"])
def test_a_missing_right_leaves_no_job_without_its_message(
    valkey_server: Server, command: str
) -> None:
    """The record would say that its continuation was sent, and the job would sleep."""
    admin = connect(valkey_server.url)
    both = _both(*_on(admin))
    both.queue.send(FIRST)
    done = take(both.queue)
    version = both.database.put(KEY, b"one", expected=None)
    admin.execute_command(
        "ACL", "SETUSER", "lacking", "on", "nopass", "~*", "&*", "+@all", f"-{command}"
    )
    try:
        url = f"redis://lacking:any@{HOST}:{valkey_server.port}"
        lacking = _both(open_register(url), open_queue(url))
        with pytest.raises(StoreUnavailable, match="allow this user the commands"):
            lacking.database.put(KEY, b"two", expected=version, message=SECOND, done=done)
    finally:
        admin.execute_command("ACL", "DELUSER", "lacking")
    assert both.register.read(KEY) == (b"one", version)
    both.queue.hide(done, 0)
    bodies = [delivery.body for delivery in receive(both)]
    assert FIRST.body() in bodies


@pytest.mark.parametrize(
    "body", ["hello", "{}", "[1]", '"a"', '{"job_id":7}', '{"job_id":"%s%d"}', '{"job_id":"../a"}']
)
def test_a_foreign_message_is_received_all_the_same(valkey_server: Server, body: str) -> None:
    """It would hold up all messages behind it, at every receipt."""
    register, queue = _on(connect(valkey_server.url))
    database = _both(register, queue).database
    queue._send(queue._keys, [body, 0])
    queue.send(FIRST)
    register.put("jobs/7", b"x", expected=None)
    batch = database.receive_batch(5, visibility_seconds=60.0, wait_seconds=0)
    assert [delivery.body for delivery in batch] == [body, FIRST.body()]
    assert [delivery.stored for delivery in batch] == [None, None]


def test_two_files_or_servers_are_not_one(tmp_path: Path, valkey_server: Server) -> None:
    """A slice's end would be written where its queue is not, and the job would stand still."""
    file, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    server = valkey_server.url
    pairs = {
        (file, file): True,
        (file, other): False,
        (server, f"{server}/0/blue"): True,
        (server, f"{server}/1"): False,
        (server, file): False,
        (file, server): False,
    }
    for (store, queue), is_one in pairs.items():
        register = open_register(store)
        database = open_queue(queue).database_with(register)
        assert (database is not None) == is_one, (store, queue)
