"""What a network and a server do to a register in Redis."""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis

from outlast.checkpoint.errors import (
    CorruptRecord,
    DeletedJob,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.redis_client import CONNECT_SECONDS
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.registers.redis import RedisRegister
from tests import servers
from tests.checkpoint.conftest import REAL_REDIS
from tests.checkpoint.lossy_proxy import LossyProxy
from tests.servers import HOST, free_ports
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

KEY = "jobs/one"
NAME = "outlast:{jobs/one}"


@pytest.fixture(params=REAL_REDIS)
def server(request: pytest.FixtureRequest) -> Server:
    """Each real server, emptied."""
    name = "valkey_server" if request.param == "valkey" else "redis_server"
    server: Server = request.getfixturevalue(name)
    with closing(redis.Redis.from_url(server.url)) as client:
        client.flushall()
        client.script_flush()
    return server


@pytest.fixture
def register(server: Server) -> Iterator[RedisRegister]:
    """A register on the server."""
    with closing(RedisRegister.from_url(server.url)) as register:
        yield register


@pytest.mark.parametrize("lost", [1, 2], ids=["redis-py asks again", "the value is read back"])
def test_a_lost_answer_is_no_lost_lease(server: Server, lost: int) -> None:
    """A network hiccup after a save would throw away the slice that had just been saved."""
    with (
        serving(LossyProxy(server)) as proxy,
        closing(RedisRegister.from_url(f"redis://{HOST}:{proxy.port}")) as register,
    ):
        first = register.write(KEY, b"first", expected=None)
        proxy.lose(b"EVALSHA", count=lost)
        second = register.write(KEY, b"second", expected=first)
        assert proxy.lost == lost
        assert register.read(KEY) == (b"second", second)


def test_a_lost_answer_is_no_excuse_for_a_lost_race(
    server: Server, register: RedisRegister
) -> None:
    """The loser of a race would take the winner's progress for its own."""
    with (
        serving(LossyProxy(server)) as proxy,
        closing(RedisRegister.from_url(f"redis://{HOST}:{proxy.port}")) as loser,
    ):
        first = register.write(KEY, b"first", expected=None)
        register.write(KEY, b"theirs", expected=first)
        proxy.lose(b"EVALSHA", count=1)
        with pytest.raises(VersionConflict):
            loser.write(KEY, b"ours", expected=first)


def test_a_large_value_takes_its_time(server: Server) -> None:
    """A job whose state outgrows what the network moves in five seconds would never be saved."""
    with (
        serving(LossyProxy(server)) as proxy,
        closing(open_register(f"redis://{HOST}:{proxy.port}?socket_timeout=0.5")) as register,
    ):
        proxy.bytes_a_second = 10e6
        version = register.put(KEY, bytes(20_000_000), expected=None)
        assert register.read(KEY) == (bytes(20_000_000), version)


def test_a_value_that_the_server_refuses_for_its_size_is_named() -> None:
    """A person would look for a network fault while a job stands still."""
    with (
        servers.valkey("--proto-max-bulk-len", "1mb") as server,
        closing(open_register(server.url)) as register,
        pytest.raises(
            StoreUnavailable, match=r"takes 3,000,000 bytes at once \(proto-max-bulk-len"
        ),
    ):
        register.put(KEY, bytes(3_000_000), expected=None)


def test_a_failover_behind_one_address_is_followed() -> None:
    """A slice's work would be lost, as each attempt to save it went to what was the primary."""
    with (
        servers.valkey() as old,
        servers.valkey() as new,
        serving(LossyProxy(old)) as proxy,
        closing(open_register(f"redis://{HOST}:{proxy.port}")) as register,
        closing(redis.Redis.from_url(old.url)) as admin,
    ):
        register.put(KEY, b"first", expected=None)
        proxy.behind = new
        admin.replicaof(HOST, new.port)
        with pytest.raises(StoreUnavailable, match="connect to the primary"):
            register.put("jobs/two", b"second", expected=None)
        register.put("jobs/two", b"second", expected=None)


def test_a_replica_without_its_primary_is_named() -> None:
    """A person would change how the server is set up, which is not what is wrong."""
    with (
        servers.valkey("--replica-serve-stale-data", "no") as server,
        closing(redis.Redis.from_url(server.url)) as admin,
        closing(open_register(server.url)) as register,
    ):
        admin.replicaof(HOST, free_ports(1)[0])
        with pytest.raises(StoreUnavailable, match="; wait until this replica has a primary"):
            register.read(KEY)


def test_same_bytes_never_have_the_same_version(register: RedisRegister) -> None:
    """Whoever knew the deleted value could overwrite the one created in its place."""
    first = register.put(KEY, b"same", expected=None)
    register.delete(KEY, expected=first)
    assert register.put(KEY, b"same", expected=None) != first


def test_a_time_to_live_outlasts_a_write(server: Server, register: RedisRegister) -> None:
    """An operator's clean-up rule would be forgotten at the next save."""
    version = register.put(KEY, b"first", expected=None)
    with closing(redis.Redis.from_url(server.url)) as client:
        client.expire(NAME, 1000)
        register.put(KEY, b"second", expected=version)
        assert 990 < client.ttl(NAME) <= 1000


def test_a_server_that_forgot_the_scripts_is_taught_again(
    server: Server, register: RedisRegister
) -> None:
    """Every worker would have to be restarted after a restart of the server."""
    version = register.put(KEY, b"first", expected=None)
    with closing(redis.Redis.from_url(server.url)) as client:
        client.script_flush()
        client.client_kill_filter(_type="normal", skipme=True)
    register.put(KEY, b"second", expected=version)


def test_an_interrupted_call_does_not_shift_the_answers(
    register: RedisRegister, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read after Ctrl-C would return another job's record."""
    register.put(KEY, b"one", expected=None)
    register.put("jobs/two", b"two", expected=None)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "parse_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            register.read(KEY)
    assert register.read("jobs/two").value == b"two"


def test_a_thread_keeps_to_one_connection(server: Server, register: RedisRegister) -> None:
    """The server would refuse all workers once it has as many connections as it takes."""
    with closing(redis.Redis.from_url(server.url)) as client:
        others = {each["id"] for each in client.client_list()}
        version = register.put(KEY, b"one", expected=None)
        for _ in range(5):
            version = register.put(KEY, b"more", expected=version)
            with pytest.raises(VersionConflict):
                register.put(KEY, b"late", expected="another")
        assert len({each["id"] for each in client.client_list()} - others) == 1


def test_an_unreachable_server_is_named_without_the_password() -> None:
    """A person would wait, read a traceback, or find the password in a log."""
    port = free_ports(1)[0]
    started = time.monotonic()
    with (
        closing(open_register(f"redis://me:s3cret@{HOST}:{port}/0")) as register,
        pytest.raises(StoreUnavailable) as caught,
    ):
        register.write(KEY, b"first", expected=None)
    message = str(caught.value)
    assert message.startswith(f"redis at {HOST}:{port}: ")
    assert message.endswith("; check that the server runs and that the address is right")
    assert "s3cret" not in message
    assert "\n" not in message
    assert time.monotonic() - started < 2 * CONNECT_SECONDS


def test_a_server_that_does_not_answer_is_abandoned() -> None:
    """A worker would hang until its platform kills it."""
    with socket.create_server((HOST, 0)) as silent:
        url = f"redis://{HOST}:{silent.getsockname()[1]}?socket_timeout=0.05"
        with (
            closing(open_register(url)) as register,
            pytest.raises(StoreUnavailable, match=r"^redis at .* check that the server runs"),
        ):
            register.read(KEY)


def test_a_wrong_password_is_named(server: Server) -> None:
    """A person would look for a network fault."""
    url = f"redis://nobody:s3cret@{HOST}:{server.port}/0"
    with (
        closing(open_register(url)) as register,
        pytest.raises(StoreUnavailable, match="check the user name and the password") as caught,
    ):
        register.read(KEY)
    assert "s3cret" not in str(caught.value)


def test_a_full_server_keeps_the_value_before(server: Server, register: RedisRegister) -> None:
    """A server out of memory would cost progress, or the reason stay unknown."""
    version = register.put(KEY, b"first", expected=None)
    with closing(redis.Redis.from_url(server.url)) as client:
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailable, match="give the server more memory"):
                register.write(KEY, b"second", expected=version)
        finally:
            client.config_set("maxmemory", "0")
    assert register.read(KEY) == (b"first", version)


@pytest.mark.parametrize("is_far_over", [False, True], ids=["full", "far over its limit"])
def test_a_full_server_lets_jobs_be_deleted(
    server: Server, register: RedisRegister, is_far_over: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What makes room would itself need some, and an operator had to find a way around."""
    jobs = JobStore(register)
    params = {"text": secrets.token_hex(500_000)}
    jobs.submit(Record(job_id="a", kernel="k", params=params, created_at=1.0, updated_at=1.0))
    with closing(redis.Redis.from_url(server.url)) as client:
        client.config_set("maxmemory", 1 if is_far_over else client.info()["used_memory"])
        try:
            jobs.delete(jobs.load("a"))
        finally:
            client.config_set("maxmemory", 0)
    kind = UnknownJob if is_far_over else DeletedJob
    with pytest.raises(UnknownJob) as caught:
        jobs.load("a")
    assert type(caught.value) is kind
    assert ("no room to remember" in caplog.text) == is_far_over


def test_a_foreign_key_of_the_same_name_is_left_alone(
    server: Server, register: RedisRegister
) -> None:
    """Another program's data would be destroyed."""
    with closing(redis.Redis.from_url(server.url)) as client:
        client.set(NAME, "foreign")
        with pytest.raises(CorruptRecord, match=KEY):
            register.put(KEY, b"first", expected=None)
        assert client.get(NAME) == b"foreign"


def commands(server: Server) -> int:
    """How many commands the server has run, without those of this question."""
    with closing(redis.Redis.from_url(server.url)) as client:
        calls = client.info("commandstats")
    return sum(figures["calls"] for name, figures in calls.items() if name != "cmdstat_info")


def test_a_list_does_not_pass_the_keys_of_others(server: Server, register: RedisRegister) -> None:
    """A sweep on a server with a million keys of other programs would take it seconds."""
    with closing(redis.Redis.from_url(server.url)) as client:
        for start in range(0, 50_000, 5000):
            client.mset({f"theirs:{number}": "" for number in range(start, start + 5000)})
    register.put(KEY, b"first", expected=None)
    assert list(register.keys("jobs/")) == [KEY]  # The first list makes the index.
    before = commands(server)
    assert list(register.keys("jobs/")) == [KEY]
    assert commands(server) - before < 15


def test_an_index_is_made_of_what_an_older_version_stored(
    server: Server, register: RedisRegister
) -> None:
    """After an upgrade `outlast list` would be empty, and no job be swept."""
    keys = [f"jobs/{number}" for number in range(2500)]
    with closing(redis.Redis.from_url(server.url)) as client:
        for key in keys:
            client.hset(f"outlast:{{{key}}}", mapping={"value": b"v", "version": "1"})
        assert list(register.keys("jobs/")) == sorted(keys)
        client.delete("outlast:keys")
    register.put("jobs/new", b"first", expected=None)
    assert list(register.keys("jobs/")) == sorted([*keys, "jobs/new"])


def test_a_value_that_outlived_its_time_leaves_the_list(
    server: Server, register: RedisRegister
) -> None:
    """An operator's clean-up rule would leave behind an index that grows for ever."""
    register.put(KEY, b"first", expected=None)
    register.put("jobs/two", b"second", expected=None)
    assert list(register.keys("")) == [KEY, "jobs/two"]
    with closing(redis.Redis.from_url(server.url)) as client:
        client.pexpire(NAME, 1)
        while client.exists(NAME):
            pass
        assert list(register.keys("")) == ["jobs/two"]
        assert client.zrange("outlast:keys", 0, -1) == [b"", b"jobs/two"]
