"""Store and queue in one database: what a slice costs there, and what must not go with its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Notices
from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.registers.redis import RedisRegister
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.checkpoint.status import Status
from outlast.worker.loops.consumer import Consumer
from outlast.worker.notify.errors import NotDelivered
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis import RedisQueue
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.slices.brevity import RECENT
from outlast.worker.slices.worker_process import WorkerProcess
from tests.kernels import Counting, expected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

    from tests.servers import Server

TARGET = "https://example.org/hook"
SLICE_SECONDS = 0.001


class Shop:
    """A worker on one database, with jobs that count to `steps`."""

    def __init__(self, jobs: JobStore, queue: Any, on_step: Callable[[int], object]) -> None:
        self.jobs = jobs
        self.process = WorkerProcess(
            jobs=jobs, queue=queue, worker="w", kernels=lambda _: Counting(on_step)
        )

    def submit(self, job_id: str, steps: int, *, notify: tuple[str, ...] = ()) -> None:
        """Store a job, and send its message."""
        now = self.jobs.clock()
        self.jobs.submit(
            Record(
                job_id=job_id,
                kernel="counting",
                params={"steps": steps},
                notices=Notices(targets=notify),
                created_at=now,
                updated_at=now,
            )
        )
        self.process.queue.send(Message(job_id=job_id, slice=1))

    def work(self, slices: int, *, slice_seconds: float = 60.0, **changes: Any) -> None:
        """Run so many slices."""
        process = WorkerProcess(**vars(self.process) | changes) if changes else self.process
        Consumer(process, slice_seconds=slice_seconds, wait_seconds=0.05).run(
            max_slices=slices, max_idle_seconds=0.1
        )

    def record(self, job_id: str) -> Record:
        """Return a job as it is stored."""
        return self.jobs.load(job_id).record

    def left(self) -> int:
        """Return how many messages there are, and remove them."""
        count = 0
        while delivery := self.process.queue.receive(visibility_seconds=60.0, wait_seconds=0):
            self.process.queue.ack(delivery)
            count += 1
        return count


@pytest.fixture
def client(valkey_server: Server) -> redis.Redis:
    """An empty server."""
    client = connect(valkey_server.url)
    client.flushall()
    return client


def step_by_step(_: int) -> None:
    """Let a step take longer than a slice lasts."""
    time.sleep(2 * SLICE_SECONDS)


def on_redis(client: redis.Redis, on_step: Callable[[int], object] = lambda _: None) -> Shop:
    """A worker whose store and queue are that server."""
    return Shop(JobStore(RedisRegister(client)), RedisQueue(client, "jobs"), on_step)


def on_sqlite(path: Path, on_step: Callable[[int], object] = lambda _: None) -> Shop:
    """A worker whose store and queue are that file."""
    return Shop(JobStore(SqliteRegister(path)), SqliteQueue(path), on_step)


def test_a_small_job_on_redis_takes_one_round_trip(client: redis.Redis) -> None:
    """On a server that is a millisecond away each trip more would halve what a worker gets done."""
    shop, count, first = on_redis(client), 50, 20
    for number in range(first + count):
        shop.submit(f"job-{number}", 1)
    shop.work(first)  # loads the scripts, and learns how long a job takes
    client.config_resetstat()
    shop.work(count)
    assert all(shop.record(f"job-{number}").result == expected(1) for number in range(count))
    stats: dict[str, Any] = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] <= 1.6 * count
    assert shop.left() == 0


def test_a_slice_on_redis_takes_three_round_trips(client: redis.Redis) -> None:
    """To save, to send, to note that and to acknowledge would each be one more.

    Of a brief slice it is two.
    """
    shop, slices = on_redis(client, step_by_step), 20
    shop.submit("job", 1000)
    shop.work(1, slice_seconds=SLICE_SECONDS)  # loads the scripts
    for count, trips in ((RECENT - 1, 3), (slices, 2)):
        client.config_resetstat()
        shop.work(count, slice_seconds=SLICE_SECONDS)
        stats: dict[str, Any] = client.info("commandstats")
        assert stats["cmdstat_evalsha"]["calls"] <= (trips + 0.3) * count
    assert shop.record("job").usage.slices_begun == RECENT + slices
    assert shop.left() == 1


def test_a_slice_on_sqlite_writes_its_record_twice(tmp_path: Path) -> None:
    """Each write more is one more wait for the disk; that of a brief one is written once."""
    shop, slices = on_sqlite(tmp_path / "outlast.db", step_by_step), 20
    shop.submit("job", 1000)
    register = shop.jobs.register
    assert isinstance(register, SqliteRegister)
    statements: list[str] = []
    with register._file.snapshot() as connection:
        connection.set_trace_callback(statements.append)
    statements.clear()  # of its own end
    shop.work(slices, slice_seconds=SLICE_SECONDS)
    kinds = [statement.split()[0] for statement in statements]
    updates = sum(statement.startswith("UPDATE outlast_register") for statement in statements)
    assert shop.record("job").usage.slices_begun == slices
    assert updates == 2 * RECENT + slices - RECENT
    assert kinds.count("COMMIT") == slices
    assert shop.left() == 1


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_job_of_many_slices_comes_to_its_end(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A job would stand still after a slice, or leave messages for ever."""
    if kind == "sqlite":
        shop = on_sqlite(tmp_path / "outlast.db", step_by_step)
    else:
        shop = on_redis(request.getfixturevalue("client"), step_by_step)
    shop.submit("job", 12)
    shop.work(20, slice_seconds=SLICE_SECONDS)
    record = shop.record("job")
    assert (record.result, record.usage.redone_seconds) == (expected(12), 0.0)
    assert record.usage.slices_begun > 3
    assert shop.left() == 0


def test_a_job_that_is_cancelled_while_it_waits_does_not_run(client: redis.Redis) -> None:
    """It was read when its batch was received: a cancelled job would be computed and billed."""
    shop = on_redis(client)
    for job_id in ("warm", "first", "second"):
        shop.submit(job_id, 1)

    def cancel_second(_: int) -> None:
        if shop.record("first").lease and not shop.record("second").status.is_final:
            shop.jobs.change("second", lambda record: record.cancelled())

    shop = on_redis(client, cancel_second)
    shop.work(3, max_state_bytes=10_000)
    assert shop.record("first").status is Status.SUCCEEDED
    second = shop.record("second")
    assert (second.status, second.usage.slices_begun) == (Status.CANCELLED, 0)


def test_a_message_stays_until_the_targets_are_notified(tmp_path: Path) -> None:
    """A worker that dies between a job's end and its notices would leave them to a sweep."""
    shop = on_sqlite(tmp_path / "outlast.db")

    def refuse(*_: object) -> None:
        raise NotDelivered("away")

    shop.submit("job", 1, notify=(TARGET,))
    shop.work(1, notify=refuse)
    record = shop.record("job")
    assert (record.status, record.notices.owed) == (Status.SUCCEEDED, (TARGET,))
    backlog = shop.process.queue.backlog()
    assert backlog is not None
    assert backlog.waiting + backlog.hidden == 1
