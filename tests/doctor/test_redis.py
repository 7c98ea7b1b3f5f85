"""How a real Valkey server is set up, changed as an operator would."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis

from outlast.worker.queues import open_queue
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis import RedisQueue
from tests import servers
from tests.doctor.conftest import problems
from tests.servers import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


# Those of docs/security.md for a worker.
RIGHTS = (
    *("+hget", "+hset", "+hmget", "+del", "+exists", "+scan"),
    *("+zadd", "+zrem", "+zscore", "+zrangebylex", "+evalsha", "+script|load"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of these tests' own, as they change it."""
    with servers.valkey() as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[redis.Redis]:
    """A connection that may do anything; the server is well at the start of each test."""
    with closing(redis.Redis.from_url(server.url)) as client:
        client.replicaof("NO", "ONE")
        client.flushall()
        for name, value in WELL.items():
            client.config_set(name, value)
        yield client


WELL = {
    "maxmemory-policy": "noeviction",
    "maxmemory": 0,
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "3600 1",
}


@pytest.mark.usefixtures("admin")
def test_a_server_that_is_well(server: Server, run_doctor: Any) -> None:
    """Doctor would cry wolf."""
    findings = run_doctor(OUTLAST_STORE=server.url)
    assert problems(findings, "store.", "clock.") == {}
    assert {"store.eviction", "store.persistence", "store.role", "clock.store"} <= set(findings)
    assert "may lose a second" in findings["store.persistence"].found


@pytest.mark.parametrize(
    ("change", "expected", "breaks"),
    [
        (
            {"maxmemory": 100 << 20, "maxmemory-policy": "allkeys-lru"},
            {"store.eviction": "error"},
            "deletes jobs to make room",
        ),
        ({"maxmemory-policy": "allkeys-lru"}, {"store.eviction": "warning"}, "may be deleted"),
        ({"maxmemory-policy": "volatile-ttl"}, {"store.eviction": "warning"}, "may be deleted"),
        ({"maxmemory": 1000}, {"store.write": "error", "store.memory": "warning"}, "refuses"),
        ({"appendfsync": "no"}, {"store.persistence": "warning"}, "power cut"),
        ({"appendonly": "no"}, {"store.persistence": "warning"}, "the last snapshot"),
        (
            {"appendonly": "no", "save": ""},
            {"store.persistence": "error"},
            "a restart loses every job",
        ),
    ],
)
def test_a_server_that_forgets(
    change: dict[str, Any],
    expected: dict[str, str],
    breaks: str,
    *,
    admin: redis.Redis,
    server: Server,
    run_doctor: Any,
) -> None:
    """Jobs would vanish weeks later, when the memory is full or the server restarts."""
    for name, value in change.items():
        admin.config_set(name, value)
    findings = run_doctor(OUTLAST_STORE=server.url)
    assert problems(findings, "store.", "clock.") == expected
    assert any(breaks in findings[name].breaks for name in expected)


def test_a_replica(admin: redis.Redis, server: Server, run_doctor: Any) -> None:
    """Each write would be refused, though the address answers."""
    admin.replicaof(HOST, str(servers.free_ports(1)[0]))
    findings = run_doctor(OUTLAST_STORE=server.url)
    assert {"store.role", "store.write"} <= set(problems(findings, "store.", "clock."))
    assert "primary" in findings["store.role"].mend


def test_a_user_who_may_not_look(admin: redis.Redis, server: Server, run_doctor: Any) -> None:
    """A user with the least rights would be told of errors that are none."""
    rights = [*RIGHTS, "~outlast:*"]
    admin.execute_command("ACL", "SETUSER", "few", "reset", "on", ">s3cret", *rights)
    url = f"redis://few:s3cret@{HOST}:{server.port}/0"
    findings = run_doctor(OUTLAST_STORE=url)
    assert problems(findings, "store.", "clock.") == {"store.look": "unknown"}
    assert "s3cret" not in str(findings)


def test_a_user_who_may_not_ask_for_the_configuration(
    admin: redis.Redis, server: Server, run_doctor: Any
) -> None:
    """On a managed server, which has no CONFIG, everything else would go unsaid."""
    admin.config_set("appendonly", "no")
    admin.execute_command("ACL", "SETUSER", "some", "reset", "on", ">x", "+@all", "-config", "~*")
    findings = run_doctor(OUTLAST_STORE=f"redis://some:x@{HOST}:{server.port}/0")
    assert problems(findings, "store.", "clock.") == {"store.persistence": "unknown"}


@pytest.mark.parametrize("missing", ["+hset", "+scan", "+del", "+hmget"])
def test_a_user_without_a_right(
    missing: str, admin: redis.Redis, server: Server, run_doctor: Any
) -> None:
    """The first job would find out, not who deploys."""
    rights = {*RIGHTS, "+info", "+config|get", "+time", "+ping"} - {missing}
    admin.execute_command("ACL", "SETUSER", "few", "reset", "on", ">x", *rights, "~outlast:*")
    findings = run_doctor(OUTLAST_STORE=f"redis://few:x@{HOST}:{server.port}/0")
    check, level = {
        "+hset": ("store.write", "error"),
        "+scan": ("store.list", "error"),
        "+del": ("store.delete", "warning"),
        "+hmget": ("store.reach", "error"),
    }[missing]
    assert problems(findings, "store.", "clock.") == {check: level}


@pytest.mark.usefixtures("admin")
def test_a_queue_that_is_well(server: Server, run_doctor: Any) -> None:
    """Doctor would cry wolf, or take a job's message for its trial."""
    with closing(open_queue(server.url)) as queue:
        queue.send(Message(job_id="a"))
        findings = run_doctor(OUTLAST_STORE=server.url, OUTLAST_QUEUE=server.url)
        assert problems(findings) == {}
        assert {"queue.reach", "queue.receives", "queue.dead-letters"} <= set(findings)
        delivery = queue.receive(visibility_seconds=1, wait_seconds=0)
        assert delivery.receipt.endswith(":1")
        queue.ack(delivery)


def test_doctor_leaves_nothing_behind(admin: redis.Redis, server: Server, run_doctor: Any) -> None:
    """Each look at a deployment would take a bit of its memory."""
    run_doctor(OUTLAST_QUEUE=server.url)
    assert admin.dbsize() == 0


def test_messages_that_were_given_up(admin: redis.Redis, server: Server, run_doctor: Any) -> None:
    """Nobody would look for the jobs that stand still."""
    with closing(RedisQueue(admin, "jobs", max_receives=0)) as queue:
        queue.send(Message(job_id="a"))
        assert queue.receive(visibility_seconds=1, wait_seconds=0) is None
    findings = run_doctor(OUTLAST_QUEUE=server.url)["queue.dead-letters"]
    assert (findings.level, findings.found[:2]) == ("warning", "1 ")
    assert "outlast dlq list" in findings.mend


def test_a_user_without_a_right_to_the_queue(
    admin: redis.Redis, server: Server, run_doctor: Any
) -> None:
    """The first job would find out, not who deploys."""
    rights = ("+@all", "-hincrby", "~*", "&*")
    admin.execute_command("ACL", "SETUSER", "few", "reset", "on", ">x", *rights)
    findings = run_doctor(OUTLAST_QUEUE=f"redis://few:x@{HOST}:{server.port}/0")
    assert problems(findings, "queue.") == {"queue.reach": "error"}
    assert "hincrby" in findings["queue.reach"].found
    assert findings["queue.reach"].mend == "allow this user the commands and keys outlast:*"
    assert admin.dbsize() == 0


def test_an_unknown_option_of_the_queue(run_doctor: Any) -> None:
    """A person would be told that the queue cannot be examined, and not why."""
    findings = run_doctor(OUTLAST_QUEUE=f"redis://{HOST}?pasword=s3cret")
    assert problems(findings, "queue.") == {"queue.reach": "error"}
    assert "no queue has the URL" in findings["queue.reach"].found
    assert "use sqlite:///path, redis://" in findings["queue.reach"].found
    assert "redis-py has no such option" in findings["queue.reach"].mend
    assert "s3cret" not in str(findings)


def test_a_server_that_is_not_there(run_doctor: Any) -> None:
    """One fault would be told five times, or hide what is wrong with the queue."""
    findings = run_doctor(OUTLAST_STORE=f"redis://:hidden@{HOST}:{servers.free_ports(1)[0]}/0")
    assert problems(findings, "store.", "clock.") == {"store.reach": "error"}
    assert findings["queue.reach"].level == "ok"
    assert "hidden" not in str(findings)
