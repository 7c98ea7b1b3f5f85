"""The simulated queue: it delivers at least once, in almost any order, and fails in every way."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from outlast.worker.queues.contract import Delivery, Queue, QueueUnavailable
from tests.simulation.database import SimulatedDatabase
from tests.simulation.store import SimulatedRegister

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.register import Register
    from outlast.worker.queues.database import Database
    from outlast.worker.queues.message import Message
    from tests.simulation.clockwork import Actor
    from tests.simulation.process import Process
    from tests.simulation.world import World

DELAY_SECONDS = (0.5, 120.0)
LONGEST_IDLE_SECONDS = 60.0
WAKE_SECONDS = 0.005
FIFO_SECONDS = 300.0


@dataclass(slots=True)
class Entry:
    """A message on the queue; `job_id` is empty where the message is foreign."""

    body: str
    job_id: str
    slice: int | None
    visible_at: float
    receives: int = 0
    receipts: list[str] = field(default_factory=list)


class Broker:
    """All messages, and who waits for one.

    SQS has two kinds of queue. A standard one knows no order, and may or may not accept the receipt
    of an earlier delivery than the last. A first-in-first-out one holds back a job's messages while
    an earlier one is undelivered, and drops a message whose id it has seen within five minutes.
    """

    def __init__(
        self, *, is_fifo: bool = False, takes_old_receipts: bool = False, max_receives: int
    ) -> None:
        self.entries: list[Entry] = []
        self.dead: list[Entry] = []
        self.idle: list[Actor] = []
        self.is_fifo = is_fifo
        self.takes_old_receipts = takes_old_receipts and not is_fifo
        self.max_receives = max_receives
        self.receipts = count(1)
        self._seen_at: dict[str, float] = {}

    def drops(self, deduplication_id: str | None, now: float) -> bool:
        """Whether the queue drops a message as it was sent before, acknowledged or not."""
        if not self.is_fifo or deduplication_id is None:
            return False
        if now - self._seen_at.get(deduplication_id, -FIFO_SECONDS) < FIFO_SECONDS:
            return True
        self._seen_at[deduplication_id] = now
        return False

    def next_in_line(self) -> list[Entry]:
        """Return the messages that may be delivered as soon as they are visible."""
        if not self.is_fifo:
            return self.entries
        first: dict[str, Entry] = {}
        for entry in self.entries:
            first.setdefault(entry.job_id, entry)
        return list(first.values())


class SimulatedQueue(Queue):
    """The broker as one process sees it."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._broker = world.broker

    @contextmanager
    def _effect(self, operation: str) -> Iterator[str | None]:
        """Come to an effect on the queue, as `Process.effect`."""
        with self._process.effect(operation, QueueUnavailable) as fault:
            if self._world.is_one_database and self._process.clock() < self._world.store.back_at:
                self._process.suffer()
                raise QueueUnavailable("simulated")
            yield fault

    def send(self, message: Message, *, deduplication_id: str | None = None) -> None:
        """Put the message on the queue."""
        with self._effect("send") as fault:
            is_dropped = self._broker.drops(deduplication_id, self._world.clockwork.now)
            self._world.rules.sent(
                self._process,
                message,
                may_repeat=deduplication_id is None,
                is_dropped=is_dropped,
                is_lost=fault == "lose",
            )
            copies = {"lose": 0, "double": 1 if self._broker.is_fifo else 2}.get(fault or "", 1)
            for _ in range(0 if is_dropped else copies):
                delay = self._process.rng.uniform(*DELAY_SECONDS) if fault == "delay" else 0.0
                self._put(Entry(message.body(), message.job_id, message.slice, delay))

    def sends(self, message: Message) -> None:
        """Put the message on the queue, in the middle of a step of the database."""
        self._world.rules.sent(
            self._process, message, may_repeat=False, is_dropped=False, is_lost=False
        )
        self._put(Entry(message.body(), message.job_id, message.slice, 0.0))

    def _put(self, entry: Entry) -> None:
        """Put a message on the queue, to be visible in `entry.visible_at` seconds."""
        entry.visible_at += self._world.clockwork.now
        self._broker.entries.append(entry)
        self._world.rules.queue_changed(entry.job_id)
        if self._broker.idle:
            actor = self._broker.idle.pop()
            self._world.clockwork.wake(actor, entry.visible_at + WAKE_SECONDS)

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Return a message; this queue's long poll may be longer than was asked for."""
        delivery = self._receive(visibility_seconds, wait_seconds)
        self._process.is_idle = delivery is None
        return delivery

    def _receive(self, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        with self._effect("receive") as fault:
            self._world.rules.idle(self._process)
            entry = self._pick(fault)
            if entry is None and wait_seconds:
                self._wait(max(wait_seconds, LONGEST_IDLE_SECONDS))
                entry = self._pick(fault)
            if entry is None:
                return None
            entry.receipts.append(str(next(self._broker.receipts)))
            entry.receives += 1
            entry.visible_at = self._world.clockwork.now + visibility_seconds
            is_first = entry.receives == 1
            return Delivery(entry.body, entry.receipts[-1], visibility_seconds, is_first=is_first)

    def is_empty(self) -> bool:
        """Return whether no message is visible."""
        now = self._world.clockwork.now
        return all(entry.visible_at > now for entry in self._broker.entries)

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message."""
        with self._effect("hide") as fault:
            if entry := self._find(delivery):
                self._world.rules.hidden(self._process, entry, seconds)
                if fault != "ignore":
                    entry.visible_at = self._world.clockwork.now + seconds

    def ack(self, delivery: Delivery) -> None:
        """Delete the message."""
        with self._effect("ack") as fault:
            if fault != "ignore":
                self.acknowledges(delivery)

    def acknowledges(self, delivery: Delivery) -> None:
        """Delete the message."""
        entry = self._find(delivery)
        if entry is not None:
            self._broker.entries.remove(entry)
            self._world.rules.acknowledged(entry)
            self._world.rules.queue_changed(entry.job_id)

    def database_with(self, register: Register) -> Database | None:
        """Return the database of both, in a world that has one."""
        if not (self._world.is_one_database and isinstance(register, SimulatedRegister)):
            return None
        return SimulatedDatabase(self._world, register, self)

    def _pick(self, fault: str | None) -> Entry | None:
        """Return the message to deliver, and lay aside those that nobody acknowledges."""
        now = self._world.clockwork.now
        shows_hidden = fault == "show hidden" and not self._broker.is_fifo
        seen = [x for x in self._broker.next_in_line() if shows_hidden or x.visible_at <= now]
        for entry in [x for x in seen if x.receives >= self._broker.max_receives]:
            seen.remove(entry)
            self._broker.entries.remove(entry)
            self._broker.dead.append(entry)
            self._world.rules.died(entry)
        if not seen:
            return None
        if fault in {"reorder", "show hidden"}:
            return self._process.rng.choice(seen)
        return min(seen, key=lambda entry: entry.visible_at)

    def _wait(self, seconds: float) -> None:
        actor, now = self._process.actor, self._world.clockwork.now
        line = self._broker.next_in_line()
        soonest = min((entry.visible_at for entry in line), default=now + seconds)
        actor.now = min(max(soonest, now) + WAKE_SECONDS, now + seconds)
        self._broker.idle.append(actor)
        self._world.clockwork.wait(actor)
        if actor in self._broker.idle:
            self._broker.idle.remove(actor)

    def _find(self, delivery: Delivery) -> Entry | None:
        # On some brokers a receipt is good for the last delivery only.
        first = None if self._broker.takes_old_receipts else -1
        good = (x for x in self._broker.entries if delivery.receipt in x.receipts[first:])
        return next(good, None)
