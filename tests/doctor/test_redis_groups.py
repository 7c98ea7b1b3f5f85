"""A cluster, and what sentinels watch, set up well or not."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from outlast.worker.doctor.environment import is_same
from outlast.worker.doctor.examine import examine
from tests.doctor.conftest import problems
from tests.doctor.test_redis import WELL
from tests.servers import HOST, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from tests.redis_groups import Group


@pytest.fixture
def admins(three_nodes: Group) -> Iterator[list[redis.Redis]]:
    """A connection to each primary of a cluster, which is as it was once the test is over."""
    three_nodes.flush()
    replica = three_nodes.replica
    with ExitStack() as opened:
        nodes = [node for node in three_nodes.nodes if node != replica]
        clients = [opened.enter_context(closing(three_nodes.client(node))) for node in nodes]
        for client in clients:
            before = {name: client.config_get(name)[name] for name in WELL}
            opened.callback(_configure, client, before)
            _configure(client, WELL)
        yield clients


def _configure(client: redis.Redis, values: dict[str, Any]) -> None:
    for name, value in values.items():
        client.config_set(name, value)


def address(client: redis.Redis) -> str:
    """Return host and port of a client."""
    return f"{HOST}:{client.connection_pool.connection_kwargs['port']}"


def test_a_cluster_is_examined_node_by_node(
    admins: list[redis.Redis], three_nodes: Group, run_doctor: Any
) -> None:
    """A node that forgets or evicts would take its share of the jobs with it."""
    findings = run_doctor(OUTLAST_STORE=three_nodes.url, OUTLAST_QUEUE=three_nodes.url)
    # Two of the three have no replica.
    assert problems(findings, "store.", "clock.", "queue.") == {"store.failover": "warning"}
    alone = findings["store.failover"].found
    assert alone.startswith("without a replica: ")
    assert sum(address(admin) in alone for admin in admins) == 2
    everywhere = "each of 3 nodes: maxmemory-policy is noeviction"
    assert findings["store.eviction"].found == everywhere
    admins[1].config_set("appendonly", "no")
    admins[1].config_set("save", "")
    (fact,) = (f.found for f in examine() if f.check == "store.persistence" and f.level != "ok")
    assert fact.startswith(f"{address(admins[1])}: appendonly is off")


def test_doctor_leaves_nothing_in_a_cluster(
    admins: list[redis.Redis], three_nodes: Group, run_doctor: Any
) -> None:
    """Each look at a deployment would take a bit of its memory."""
    run_doctor(OUTLAST_STORE=three_nodes.url, OUTLAST_QUEUE=three_nodes.url)
    names = [name for admin in admins for name in admin.scan_iter()]
    assert {re.sub(r"\d+", "N", name.decode()) for name in names} == {"outlast:{N}"}, "indexes"


def test_a_node_of_a_cluster_is_no_server(
    three_nodes: Group, lone_node: Group, run_doctor: Any
) -> None:
    """Some jobs would work and others not, by the hash of their id."""
    first = run_doctor(OUTLAST_STORE=three_nodes.nodes[0].url)
    assert any("redis+cluster://" in finding.mend for finding in first.values())
    # Here the server takes all of them, as long as there is no other one.
    only = run_doctor(OUTLAST_STORE=lone_node.nodes[0].url)
    for check in ("store.write", "store.cluster"):
        assert only[check].level == "error"
        assert "write redis+cluster://" in only[check].mend


def test_sentinels_are_counted(watched: Group, run_doctor: Any) -> None:
    """A single sentinel would be the one machine whose failure stops all."""
    finding = run_doctor(OUTLAST_STORE=watched.url)["store.failover"]
    assert finding.level == "warning"
    assert finding.found.startswith("replicas: 1; sentinels: 1, of which 1")
    assert finding.mend.startswith("run 3 sentinels")


def test_sentinels_that_do_not_answer_are_one_finding(run_doctor: Any) -> None:
    """One fault would be told five times."""
    findings = run_doctor(OUTLAST_STORE=f"redis+sentinel://:hidden@{HOST}:{free_ports(1)[0]}/m")
    assert problems(findings, "store.", "clock.") == {"store.reach": "error"}
    assert "hidden" not in str(findings)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis+cluster://u:p@a,b:7000", "redis+cluster://b:7000,A:6379/0", True),
        ("redis+cluster://a", "redis+cluster://a/0/jobs", True),
        ("redis+cluster://a", "redis+cluster://b", False),
        ("redis+cluster://a", "redis://a", False),
        ("redis+sentinel://a,b/m", "redis+sentinel://b:26379,a/m/0", True),
        ("redis+sentinel://a/m", "redis+sentinel://a/n", False),
        ("redis+sentinel://a/m/1", "redis+sentinel://a/m", False),
    ],
)
def test_two_urls_of_the_same_servers_are_the_same(one: str, other: str, *, same: bool) -> None:
    """Doctor would cry wolf over a spelling, or miss that workers look elsewhere."""
    assert is_same(one, other) == same
