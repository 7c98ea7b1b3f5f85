"""The simulated store and queue: what is stored and sent, how long it takes, and how often."""

from __future__ import annotations

import math
import random
from collections import Counter
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.codec import decode_head
from outlast.checkpoint.register import Register, Stored
from outlast.checkpoint.status import Status
from outlast.worker.queues.contract import Delivery, Queue
from tests.fakes import MemoryRegister
from tests.simulation.clockwork import Clockwork

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.worker.queues.message import Message
    from bench.fleet.worker import Worker
    from tests.simulation.clockwork import Actor

JOB = "job"
KEYS_A_PAGE = 1000
# Half of all requests take longer than the median; one in a hundred takes 2.5 times that.
SPREAD = 0.4


class Service(NamedTuple):
    """A store: how long a request of each kind takes, in seconds, and how many go at a time."""

    name: str
    seconds: dict[str, float]
    forgets_seconds: float


S3 = Service("s3", {"GET": 0.015, "PUT": 0.030, "LIST": 0.040, "DELETE": 0.030}, 0.0)
REDIS = Service("redis", dict.fromkeys(("GET", "PUT", "LIST", "DELETE"), 0.001), 30.0)
SQS_SECONDS = 0.010


class Entry:
    """A message on the queue.

    Attributes:
        receives: how often it was delivered; it also tells one delivery from the next.
        visible_at: when it can be delivered again; None: it can be now, or was acknowledged.
    """

    __slots__ = ("body", "receives", "visible_at")

    def __init__(self, body: str) -> None:
        self.body = body
        self.receives = 0
        self.visible_at: float | None = None


class Cloud:
    """All that the workers share.

    Attributes:
        requests: how many there were of each kind; a read of several values counts each.
        sent: how often each message was sent, by its body.
        received: how often each message was delivered, by its body.
        cut_at, called_at, over_at: when the job was cut, all open parts were sent for the first
            time, and the job was over.
    """

    def __init__(self, service: Service, seed: int) -> None:
        self.clockwork = Clockwork()
        self.rng = random.Random(seed)
        self.service = service
        self.store = MemoryRegister()
        self.requests = Counter[str]()
        self.sent = Counter[str]()
        self.received = Counter[str]()
        self.visible: list[Entry] = []
        self.hidden: list[tuple[float, int, Entry]] = []
        self.in_flight: dict[str, Entry] = {}
        self.idle: dict[Actor, None] = {}
        self.parts = 0
        self.cut_at = self.called_at = self.over_at = math.inf
        self._order = count()

    def seconds(self, kind: str) -> float:
        """Draw how long a request takes."""
        return self.service.seconds.get(kind, SQS_SECONDS) * self.rng.lognormvariate(0, SPREAD)

    def saw(self, value: bytes) -> None:
        """Note how far the job is, as it was just written."""
        job, now = decode_head(value), self.clockwork.now
        if job.fleet is None:
            return
        if job.fleet.is_cut and self.cut_at == math.inf:
            self.cut_at, self.parts = now, job.fleet.parts
        if job.fleet.answered and self.called_at == math.inf:
            self.called_at = now
        if job.status is Status.SUCCEEDED:
            self.over_at = now
        elif job.status is not Status.RUNNING and job.status is not Status.QUEUED:
            raise AssertionError(f"the job is {job.status}: {job.error}")

    @property
    def is_over(self) -> bool:
        """Whether the job is."""
        return self.over_at < math.inf

    def put_message(self, body: str) -> None:
        """Let a message be delivered from now on, and wake somebody who waits for one."""
        self.sent[body] += 1
        self.visible.append(Entry(body))
        self._wake()

    def pick(self, seconds: float) -> tuple[str, Entry] | None:
        """Take any visible message, as a standard queue does, and hide it for so long."""
        self._show()
        if not self.visible:
            return None
        at = int(self.rng.random() * len(self.visible))
        entry, self.visible[at] = self.visible[at], self.visible[-1]
        self.visible.pop()
        entry.receives += 1
        self.received[entry.body] += 1
        receipt = str(next(self._order))
        self.in_flight[receipt] = entry
        self.hide(receipt, seconds)
        return receipt, entry

    def hide(self, receipt: str, seconds: float) -> None:
        """Hide a message that was delivered for so long from now, unless it is too late."""
        if entry := self.in_flight.get(receipt):
            entry.visible_at = self.clockwork.now + seconds
            heappush(self.hidden, (entry.visible_at, int(receipt), entry))

    def ack(self, receipt: str) -> None:
        """Delete a message."""
        if entry := self.in_flight.pop(receipt, None):
            entry.visible_at = None

    @property
    def next_visible_at(self) -> float:
        """When a hidden message will be visible, at the soonest."""
        while self.hidden and self.hidden[0][2].visible_at != self.hidden[0][0]:
            heappop(self.hidden)
        return self.hidden[0][0] if self.hidden else math.inf

    def _show(self) -> None:
        while self.next_visible_at <= self.clockwork.now:
            _, receipt, entry = heappop(self.hidden)
            entry.visible_at = None
            self.in_flight.pop(str(receipt), None)
            self.visible.append(entry)

    def _wake(self) -> None:
        if self.idle:
            actor, _ = self.idle.popitem()
            self.clockwork.wake(actor, self.clockwork.now)


class CloudRegister(Register):
    """The store as one worker has it."""

    def __init__(self, cloud: Cloud, worker: Worker) -> None:
        self._cloud = cloud
        self._worker = worker
        self.forgets_seconds = cloud.service.forgets_seconds

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version."""
        with self._worker.request("GET"):
            return self._cloud.store.read(key)

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Replace the value."""
        with self._worker.request("PUT"):
            version = self._cloud.store.put(key, value, expected=expected)
            if key == f"jobs/{JOB}":
                self._cloud.saw(value)
            return version

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value."""
        with self._worker.request("DELETE"):
            self._cloud.store.delete(key, expected=expected)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these values in one request."""
        with self._worker.request("DELETE"):
            for key in keys:
                self._cloud.store.values.pop(key, None)

    def keys(
        self,
        prefix: str,
        *,
        after: str = "",
        since: float = 0.0,
    ) -> Iterator[str]:
        """Yield the keys in order, a page a request."""
        keys = list(self._cloud.store.keys(prefix, after=after, since=since))
        for begin in range(0, len(keys) + 1, KEYS_A_PAGE):
            with self._worker.request("LIST"):
                yield from keys[begin : begin + KEYS_A_PAGE]

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the first bytes of these values, read at the same time."""
        with self._worker.request("GET", times=len(keys)):
            found = map(self._cloud.store.values.get, keys)
            return [stored and stored.value[:limit_bytes] for stored in found]


class CloudQueue(Queue):
    """The queue as one worker has it: a standard one, which knows no order."""

    def __init__(self, cloud: Cloud, worker: Worker) -> None:
        self._cloud = cloud
        self._worker = worker

    def send(
        self,
        message: Message,
        *,
        deduplication_id: str | None = None,  # noqa: ARG002 - a standard queue drops none
    ) -> None:
        """Put the message on the queue."""
        with self._worker.request("send"):
            self._cloud.put_message(message.body())

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Return a message, if there is one within the wait."""
        cloud, worker = self._cloud, self._worker
        with worker.request("receive"):
            until = cloud.clockwork.now + wait_seconds
            while (picked := cloud.pick(visibility_seconds)) is None:
                if cloud.clockwork.now >= until:
                    return None
                worker.be_idle(min(until, cloud.next_visible_at))
            receipt, entry = picked
            return Delivery(entry.body, receipt, visibility_seconds)

    def is_empty(self) -> bool:
        """Return whether no message is visible."""
        return not self._cloud.visible

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for so long."""
        with self._worker.request("hide"):
            self._cloud.hide(delivery.receipt, seconds)

    def ack(self, delivery: Delivery) -> None:
        """Delete the message."""
        with self._worker.request("ack"):
            self._cloud.ack(delivery.receipt)
