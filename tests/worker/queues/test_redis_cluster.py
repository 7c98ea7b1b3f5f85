"""The queue in a cluster: its slot moves, and its consumers wait."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from outlast.worker.loops.consumer import WAIT_SECONDS, Consumer
from outlast.worker.queues import open_queue
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis_scripts import Keys
from tests.cli.process import until
from tests.servers import HOST

if TYPE_CHECKING:
    import redis

    from tests.redis_groups import Group
    from tests.worker.floor import Floor

ONE = Message(job_id="a", slice=1)
QUEUE = Keys.of("jobs")


@pytest.fixture
def group(three_nodes: Group) -> Group:
    """A cluster of three nodes, emptied."""
    three_nodes.flush()
    return three_nodes


def test_a_slot_that_moves_is_waited_for(group: Group) -> None:
    """Each resharding would fail what is being sent or saved, as scripts need all keys at once."""
    source = group.primary(QUEUE.visible)
    target = next(node for node in group.nodes if node not in {source, group.replica})
    with ExitStack() as opened:
        queue = opened.enter_context(closing(open_queue(group.url)))
        queue.send(ONE)
        move = Move(*(opened.enter_context(closing(group.client(n))) for n in (source, target)))
        move.begin()
        end = threading.Timer(0.5, move.end)
        end.start()
        try:
            queue.send(ONE)
        finally:
            end.join()
        assert group.primary(QUEUE.visible) == target
        bodies = [queue.receive(visibility_seconds=9, wait_seconds=0) for _ in "ab"]
        assert [body and body.body for body in bodies] == [ONE.body()] * 2


class Move:
    """Moves the slot of the queue from one node to another."""

    def __init__(self, source: redis.Redis, target: redis.Redis) -> None:
        self._nodes = {"source": source, "target": target}
        self._ids = {
            name: node.execute_command("CLUSTER", "MYID") for name, node in self._nodes.items()
        }
        self._slot = key_slot(QUEUE.visible.encode())

    def begin(self) -> None:
        """Begin, with one of its keys."""
        self._set("target", "IMPORTING", self._ids["source"])
        self._set("source", "MIGRATING", self._ids["target"])
        self._migrate(1)

    def end(self) -> None:
        """Move the other keys, too."""
        self._migrate(100)
        for name in ("target", "source"):
            self._set(name, "NODE", self._ids["target"])

    def _set(self, name: str, state: str, node_id: bytes) -> None:
        self._nodes[name].execute_command("CLUSTER", "SETSLOT", self._slot, state, node_id)

    def _migrate(self, count: int) -> None:
        source, target = self._nodes.values()
        names = source.execute_command("CLUSTER", "GETKEYSINSLOT", self._slot, count)
        port = target.connection_pool.connection_kwargs["port"]
        source.execute_command("MIGRATE", HOST, port, "", 0, 5000, "KEYS", *names)


def test_a_wait_for_a_message_ends_in_time_and_at_a_message(group: Group) -> None:
    """An idle worker would hear a stop too late, or begin each slice up to a second late."""
    with closing(open_queue(group.url)) as queue, closing(open_queue(group.url)) as sender:
        begun = time.monotonic()
        assert queue.receive(visibility_seconds=9, wait_seconds=0.3) is None
        assert 0.2 < time.monotonic() - begun < 1.0
        sending = threading.Timer(0.2, sender.send, [ONE])
        sending.start()
        begun = time.monotonic()
        assert queue.receive(visibility_seconds=9, wait_seconds=5.0)
        assert time.monotonic() - begun < 1.0
        sending.join()


def test_a_stop_signal_is_heard_within_a_second(floor: Floor, group: Group) -> None:
    """An idle worker would be killed by its platform, as if it had hung."""
    signalled_at = []

    def stop() -> None:
        with closing(group.client(group.primary(QUEUE.wake))) as node:
            until(lambda: node.info("clients")["blocked_clients"] == 1)
        signalled_at.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    with closing(open_queue(group.url)) as queue:
        floor.queue = queue  # type: ignore[assignment]
        stopper = threading.Thread(target=stop)
        stopper.start()
        assert Consumer(floor.process(), slice_seconds=1.0).run() == "SIGTERM"
        stopper.join()
    assert time.monotonic() - signalled_at[0] < WAIT_SECONDS + 0.5


def test_a_queue_in_a_cluster_may_have_a_name(group: Group) -> None:
    """Two fleets on one cluster would work on each other's jobs."""
    with (
        closing(open_queue(f"{group.url}/0/nightly")) as named,
        closing(open_queue(group.url)) as other,
    ):
        named.send(ONE)
        assert other.is_empty()
        assert not named.is_empty()
