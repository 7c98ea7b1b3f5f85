"""The simulated queue: at least once, in almost any order, with all its excuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outlast.worker.queues.contract import Delivery, Queue, QueueUnavailable

if TYPE_CHECKING:
    from outlast.worker.queues.message import Message
    from tests.simulation.clockwork import Actor
    from tests.simulation.process import Process
    from tests.simulation.world import World

DELAY_SECONDS = (0.5, 120.0)
LONGEST_IDLE_SECONDS = 60.0
WAKE_SECONDS = 0.005
FIFO_SECONDS = 300.0


@dataclass(slots=True)
class Letter:
    """A message on its way; `job_id` is empty where it is nobody's."""

    body: str
    job_id: str
    slice: int | None
    visible_at: float
    receives: int = 0
    receipts: list[str] = field(default_factory=list)


class Post:
    """All letters, and who waits for one.

    As SQS has it there are two kinds. A standard post knows no order. A first-in-first-out one
    holds back a job's letters while an earlier one is on its way, and drops a letter that it has
    seen within five minutes, unless it is sent again on purpose. A standard one may or may not take
    the receipt of an earlier delivery than the last.
    """

    def __init__(
        self, *, is_fifo: bool = False, takes_old_receipts: bool = False, max_receives: int
    ) -> None:
        self.letters: list[Letter] = []
        self.dead: list[Letter] = []
        self.idle: list[Actor] = []
        self.is_fifo = is_fifo
        self.takes_old_receipts = takes_old_receipts and not is_fifo
        self.max_receives = max_receives
        self.receipts = 0
        self._seen_at: dict[tuple[str, int], float] = {}

    def drops(self, message: Message, now: float) -> bool:
        """Whether a message that is sent now is taken for one that was sent before."""
        if not self.is_fifo or message.slice is None:
            return False
        key = (message.job_id, message.slice)
        if now - self._seen_at.get(key, -FIFO_SECONDS) < FIFO_SECONDS:
            return True
        self._seen_at[key] = now
        return False

    def next_in_line(self) -> list[Letter]:
        """Return the letters that may be delivered as soon as they are visible."""
        if not self.is_fifo:
            return self.letters
        first: dict[str, Letter] = {}
        for letter in self.letters:
            first.setdefault(letter.job_id, letter)
        return list(first.values())


class SimulatedQueue(Queue):
    """The post as one process has it."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._post = world.post

    def send(self, message: Message, *, again: bool = False) -> None:
        """Put the message on the queue."""
        fault = self._process.effect("send")
        if fault == "refuse":
            raise QueueUnavailable("simulated")
        self._world.rules.sent(self._process, message, again=again, is_lost=fault == "lose")
        copies = {"lose": 0, "double": 1 if self._post.is_fifo else 2}.get(fault or "", 1)
        if not again and self._post.drops(message, self._world.clockwork.now):
            copies = 0
        for _ in range(copies):
            delay = self._process.rng.uniform(*DELAY_SECONDS) if fault == "delay" else 0.0
            self.put(Letter(message.body(), message.job_id, message.slice, delay))
        if fault == "crash after":
            self._process.crash("after send")
        if fault == "lose answer":
            raise QueueUnavailable("simulated")

    def put(self, letter: Letter) -> None:
        """Put a letter on the queue, to be visible in `letter.visible_at` seconds."""
        letter.visible_at += self._world.clockwork.now
        self._post.letters.append(letter)
        self._world.rules.queue_changed(letter.job_id)
        if self._post.idle:
            actor = self._post.idle.pop()
            self._world.clockwork.wake(actor, letter.visible_at + WAKE_SECONDS)

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Return a message; this queue's long poll may be longer than was asked for."""
        fault = self._process.effect("receive")
        self._world.rules.idle(self._process)
        letter = self._pick(fault)
        if letter is None:
            self._wait(max(wait_seconds, LONGEST_IDLE_SECONDS))
            letter = self._pick(fault)
        if letter is None:
            return None
        self._post.receipts += 1
        letter.receipts.append(str(self._post.receipts))
        letter.receives += 1
        letter.visible_at = self._world.clockwork.now + visibility_seconds
        if fault == "crash after":
            self._process.crash("after receive")
        if fault == "lose answer":
            raise QueueUnavailable("simulated")
        return Delivery(letter.body, letter.receipts[-1], visibility_seconds)

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message."""
        fault = self._process.effect("hide")
        if fault == "refuse":
            raise QueueUnavailable("simulated")
        letter = self._find(delivery)
        if letter is not None:
            self._world.rules.hidden(self._process, letter, seconds)
        if letter is not None and fault != "ignore":
            letter.visible_at = self._world.clockwork.now + seconds
        if fault == "crash after":
            self._process.crash("after hide")

    def ack(self, delivery: Delivery) -> None:
        """Delete the message."""
        fault = self._process.effect("ack")
        if fault == "refuse":
            raise QueueUnavailable("simulated")
        letter = self._find(delivery)
        if letter is not None and fault != "ignore":
            self._post.letters.remove(letter)
            self._world.rules.acknowledged(letter)
            self._world.rules.queue_changed(letter.job_id)
        if fault == "crash after":
            self._process.crash("after ack")
        if fault == "lose answer":
            raise QueueUnavailable("simulated")

    def _pick(self, fault: str | None) -> Letter | None:
        """Return the letter to deliver, and lay aside those that nobody acknowledges."""
        now = self._world.clockwork.now
        shows_hidden = fault == "show hidden" and not self._post.is_fifo
        seen = [x for x in self._post.next_in_line() if shows_hidden or x.visible_at <= now]
        for letter in [x for x in seen if x.receives >= self._post.max_receives]:
            seen.remove(letter)
            self._post.letters.remove(letter)
            self._post.dead.append(letter)
            self._world.rules.died(letter)
        if not seen:
            return None
        if fault in {"reorder", "show hidden"}:
            return self._process.rng.choice(seen)
        return min(seen, key=lambda letter: letter.visible_at)

    def _wait(self, seconds: float) -> None:
        actor, now = self._process.actor, self._world.clockwork.now
        line = self._post.next_in_line()
        soonest = min((letter.visible_at for letter in line), default=now + seconds)
        actor.now = min(max(soonest, now) + WAKE_SECONDS, now + seconds)
        self._post.idle.append(actor)
        self._world.clockwork.wait(actor)
        if actor in self._post.idle:
            self._post.idle.remove(actor)

    def _find(self, delivery: Delivery) -> Letter | None:
        # On some posts a receipt is good for the last delivery only.
        first = None if self._post.takes_old_receipts else -1
        good = (x for x in self._post.letters if delivery.receipt in x.receipts[first:])
        return next(good, None)
