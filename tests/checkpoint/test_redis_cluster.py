"""What a cluster and sentinels do to a register."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
import redis
from redis.crc import key_slot

from outlast.checkpoint.errors import InvalidStoreUrl, StoreUnavailable
from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.registers.redis import RedisRegister
from outlast.worker.queues import open_queue
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis_scripts import Keys as QueueKeys
from tests import redis_groups, servers
from tests.redis_groups import MASTER
from tests.servers import HOST, free_ports
from tests.tls import tls_before

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.redis_groups import Group
    from tests.servers import Server

ONE = Message(job_id="a", slice=1)
QUEUE = QueueKeys.of("jobs")


@pytest.fixture
def group(three_nodes: Group) -> Group:
    """A cluster of three nodes, emptied."""
    three_nodes.flush()
    return three_nodes


@pytest.fixture
def register(group: Group) -> Iterator[RedisRegister]:
    """A register on it."""
    with closing(RedisRegister.from_url(group.url)) as register:
        yield register


def stored(group: Group) -> list[bytes]:
    """Return all names that there are on the primaries."""
    with closing(connect(group.url)) as client:
        return sorted(client.scan_iter())


def test_all_of_a_job_is_in_one_slot(group: Group, register: RedisRegister) -> None:
    """A failover of one node would lose a part of a job, or what lists it."""
    for prefix in ("jobs", "open", "deleted"):
        register.put(f"{prefix}/some-job", b"x", expected=None)
    register.put("parts/some-job/0123456789abcdef/0/1", b"x", expected=None)
    register.put("jobs/another", b"x", expected=None)
    names = stored(group)
    job = [name for name in names if b"some-job" in name]
    assert len(job) == 4
    index = job[0].partition(b"/")[0]
    assert index in names
    assert len({key_slot(name) for name in [*job, index]}) == 1
    assert len({key_slot(name) for name in names}) == 2


def test_keys_are_listed_in_order_from_all_nodes(register: RedisRegister) -> None:
    """`outlast list` would show the jobs of one node, or none twice."""
    keys = [f"jobs/{number:03}" for number in range(300)]
    for key in reversed(keys):
        register.put(key, b"x", expected=None)
    assert list(register.keys("jobs/")) == keys
    assert list(register.keys("jobs/", after=keys[99])) == keys[100:]
    assert register.peek(keys, 9) == [b"x"] * len(keys)
    register.remove(keys[1:])
    assert list(register.keys("jobs/")) == keys[:1]


def test_an_index_that_is_gone_is_made_anew(group: Group, register: RedisRegister) -> None:
    """After a clean-up that goes too far no job would be listed, nor swept."""
    keys = [f"jobs/{number}" for number in range(100)]
    for key in sorted(keys):
        register.put(key, b"x", expected=None)
    with closing(connect(group.url)) as client:
        for name in stored(group):
            if b"/" not in name:
                client.delete(name)
    assert list(register.keys("jobs/")) == sorted(keys)


def test_a_client_goes_on_after_it_was_closed(group: Group) -> None:
    """A worker that lets go of its connections for a while would fail at the next job."""
    with closing(open_register(group.url)) as register:
        version = register.put("jobs/a", b"x", expected=None)
        register.close()
        assert register.read("jobs/a") == (b"x", version)


def test_any_node_leads_to_all(group: Group) -> None:
    """A worker could not start while the one node that its URL names is down."""
    gone, there = free_ports(1)[0], group.nodes[2].port
    with closing(open_register(f"redis+cluster://{HOST}:{gone},{HOST}:{there}")) as register:
        assert register.read("jobs/a") is None


def test_many_threads_open_it_once(group: Group) -> None:
    """Workers with several threads would trip over a client that is half made."""
    with closing(connect(group.url)) as client:
        answers: list[object] = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.set("outlast:x", 1)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [True] * 8


def test_an_interrupted_call_does_not_shift_the_answers(
    register: RedisRegister, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read after Ctrl-C would return another job's record."""
    register.put("jobs/a", b"one", expected=None)
    register.put("parts/a/0/1", b"two", expected=None)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "parse_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            register.read("jobs/a")
    stored = register.read("parts/a/0/1")
    assert stored
    assert stored.value == b"two"


def test_a_takeover_is_followed(group: Group) -> None:
    """A worker would lose its slice, as each save went to what was the primary."""
    replica = group.replica
    with ExitStack() as opened:
        register = opened.enter_context(closing(open_register(group.url)))
        queue = opened.enter_context(closing(open_queue(group.url)))
        admin = opened.enter_context(closing(group.client(replica)))
        keys = [f"jobs/{number}" for number in range(40)]
        versions = {key: register.put(key, b"first", expected=None) for key in keys}
        queue.send(ONE)
        admin.execute_command("CLUSTER", "FAILOVER")
        redis_groups.until(lambda: admin.role()[0] == b"master")
        for key in keys:
            register.write(key, b"second", expected=versions[key])
        assert list(register.keys("jobs/")) == sorted(keys)
        assert register.peek(keys, 9) == [b"second"] * len(keys)
        assert queue.receive(visibility_seconds=9, wait_seconds=0)


def refusal(url: str) -> str:
    """Return why the server or servers at this URL cannot be a store."""
    with closing(open_register(url)) as register, pytest.raises(StoreUnavailable) as caught:
        list(register.keys("jobs/"))  # asks all nodes
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_cluster_that_is_none_is_named(valkey_server: Server) -> None:
    """A person would read of a node that cannot be reached, though it answers."""
    assert refusal(f"redis+cluster://{HOST}:{valkey_server.port}").endswith(
        "; this server is not part of a cluster: write redis://, or rediss:// with TLS"
    )


def test_a_cluster_that_is_taken_for_a_server_is_named(group: Group) -> None:
    """A person would read of a slot that has moved."""
    assert refusal(group.nodes[0].url).endswith(
        "; this is a node of a cluster: write redis+cluster://, or rediss+cluster:// with TLS"
    )


@pytest.mark.parametrize(
    ("form", "advice"),
    [
        ("redis+cluster://me:s3cret@{host}:{gone}", "; check that the server runs and that the ad"),
        ("redis+cluster://me:s3cret@{host}:{node}", "; check the user name and the password"),
        ("redis+sentinel://me:s3cret@{host}:{sentinel}/{master}", "; check the user name and the"),
        (
            "redis+sentinel://{host}:{sentinel}/other",
            "; check the name, and that the sentinels run",
        ),
        (
            "redis+sentinel://:s3cret@{host}:{gone}/m",
            "; check the name, and that the sentinels run",
        ),
        ("redis+sentinel://{host}:{server}/m", "; name the sentinels, mostly at port 26379, not"),
    ],
)
def test_what_cannot_be_reached_is_named_in_one_line_without_the_password(
    group: Group, watched: Group, form: str, advice: str
) -> None:
    """A person would read a traceback, wait for long, or find the password in a log."""
    sentinel = watched.url.partition("/" + MASTER)[0].rpartition(":")[2]
    ports = {"gone": free_ports(1)[0], "node": group.nodes[0].port, "sentinel": sentinel}
    ports["server"] = watched.nodes[0].port
    begun = time.monotonic()
    message = refusal(form.format(host=HOST, master=MASTER, **ports))
    assert advice in message
    assert message.startswith(("redis cluster at ", "redis master "))
    assert "s3cret" not in message
    assert time.monotonic() - begun < 3.0


NO_OPTION = "; redis-py has no such option as stands behind the ?, or not with this value"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("redis+cluster://host/1", "; a cluster has database 0 only"),
        ("redis+cluster://host?db=1", "; a cluster has database 0 only"),
        ("redis+sentinel://host", "; name the master behind the sentinels"),
        ("redis+sentinel://host:26379/", "; name the master behind the sentinels"),
        ("redis://one,two/0", "; write redis+cluster:// or redis+sentinel:// for several hosts"),
        ("redis+cluster://host?no_such_option=1", NO_OPTION),
        ("redis+sentinel://host/master?no_such_option=1", NO_OPTION),
        ("redis+cluster://host:port", "; the port is a number up to 65535"),
        ("redis+cluster://one,,two", ""),
    ],
)
def test_a_url_that_cannot_be_is_named_with_the_right_form(url: str, hint: str) -> None:
    """A person would be left to guess."""
    with pytest.raises(
        InvalidStoreUrl, match=r"^no store has the URL '.*' \(OUTLAST_STORE\); use sqlite:///path,"
    ) as refused:
        open_register(url)
    assert str(refused.value).endswith(f"s3://bucket/prefix{hint}")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis+cluster://u:p@one,two:7000/0", "cluster at one:6379, two:7000"),
        ("rediss+cluster://one", "cluster at one:6379"),
        ("redis+sentinel://one,two:7000/m/3", "master m of the sentinels at one:26379, two:7000"),
        ("rediss+sentinel://u:p@[::1]/m", "master m of the sentinels at ::1:26379"),
    ],
)
def test_urls_of_several_servers(url: str, name: str) -> None:
    """A documented form would be refused, or lead elsewhere."""
    with closing(open_register(url)) as register:
        assert isinstance(register, RedisRegister)
        assert register._server.name == f"redis {name}"


def test_a_database_and_an_account_reach_the_master(watched: Group) -> None:
    """Workers would find the jobs of another database, or be refused."""
    with closing(connect(f"{watched.url}/3")) as client:
        client.set("outlast:x", 1)
    with closing(redis.Redis.from_url(f"{watched.nodes[0].url}/3")) as direct:
        assert direct.get("outlast:x") == b"1"


def test_a_cluster_is_spoken_to_under_tls(lone_node: Group, tmp_path: Path) -> None:
    """The password and all progress would go over the network as they are."""
    lone_node.flush()
    (node,) = lone_node.nodes
    with (
        tls_before(node, tmp_path) as (port, authority),
        closing(lone_node.client(node)) as admin,
    ):
        admin.config_set("cluster-announce-port", port)
        try:
            trusting = f"rediss+cluster://{HOST}:{port}?ssl_ca_certs={authority}"
            with closing(open_register(trusting)) as register:
                register.put("jobs/a", b"x", expected=None)
            assert "certificate verify failed" in refusal(f"rediss+cluster://{HOST}:{port}")
        finally:
            admin.config_set("cluster-announce-port", 0)


def test_sentinels_and_their_master_are_spoken_to_under_tls(tmp_path: Path) -> None:
    """The password and all progress would go over the network as they are."""
    with ExitStack() as opened:
        master = opened.enter_context(servers.valkey())
        port, authority = opened.enter_context(tls_before(master, tmp_path, takes_plain=True))
        watch = redis_groups.watch(port)
        sentinel = opened.enter_context(servers.sentinel(watch))
        (folder := tmp_path / "sentinel").mkdir()
        door, its_authority = opened.enter_context(tls_before(sentinel, folder))
        both = tmp_path / "both.pem"
        both.write_text(authority.read_text() + its_authority.read_text())
        url = f"rediss+sentinel://{HOST}:{door}/{MASTER}"
        with closing(open_register(f"{url}?ssl_ca_certs={both}")) as register:
            register.put("jobs/a", b"x", expected=None)
        assert "check the name, and that the sentinels run" in refusal(url)
        assert "certificate verify failed" in refusal(f"{url}?ssl_ca_certs={its_authority}")
