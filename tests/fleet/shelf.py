"""The store and the queue of a world: each effect on them waits for its turn and meets its fate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable, VersionConflict
from outlast.checkpoint.register import Register, Stored
from outlast.worker.queues.contract import Delivery, Queue, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.worker.queues.message import Message
    from tests.fleet.world import World

VISIBILITY_SECONDS = 4.0


class Shelf(Register):
    """The store.

    Attributes:
        values: what is stored, by key.
        log: each write and removal, so that the store can go back.
    """

    def __init__(self, world: World) -> None:
        self.values: dict[str, Stored] = {}
        self.log: list[tuple[str, Stored | None]] = []
        self._world = world
        self._versions = count(1)

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version."""
        self._meet("read", key)
        return self.values.get(key)

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the start of each value, in one moment or one after another."""
        if not self._world.scene.is_batched:
            return super().peek(keys, limit_bytes)
        self._meet("read", " ".join(keys))
        found = [self.values.get(key) for key in keys]
        return [stored and stored.value[:limit_bytes] for stored in found]

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Replace the value."""
        fate = self._meet("put", key)
        current = self.values.get(key)
        self._check(key, expected)
        version = str(next(self._versions))
        self._set(key, Stored(value, version))
        self._world.ledger.wrote(key, current.value if current else None, value)
        self._answer(fate)
        return version

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value."""
        fate = self._meet("delete", key)
        self._check(key, expected)
        self._set(key, None)
        self._answer(fate)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these values, one after another."""
        for key in keys:
            fate = self._meet("remove", key)
            if key in self.values:
                self._set(key, None)
            self._answer(fate)

    def keys(
        self,
        prefix: str,
        *,
        after: str = "",
        since: float = 0.0,  # noqa: ARG002 - nothing says when a value was written
    ) -> Iterator[str]:
        """Yield the keys in order."""
        self._meet("list", prefix)
        yield from sorted(k for k in self.values if k.startswith(prefix) and k > after)

    def go_back(self, moment: int, prefix: str) -> None:
        """Let what begins with `prefix` be as it was after so many writes."""
        past = dict(self.log[:moment])
        for key in {key for key, _ in self.log if key.startswith(prefix)}:
            if past.get(key) is not self.values.get(key):
                self._set(key, past.get(key))

    def _meet(self, operation: str, key: str) -> str:
        fate = self._world.meet(f"{operation} {key}")
        if fate == "refused":
            raise StoreUnavailable("simulated")
        return fate

    def _answer(self, fate: str) -> None:
        if fate == "unanswered":
            raise StoreUnavailable("simulated")

    def _check(self, key: str, expected: str | None) -> None:
        current = self.values.get(key)
        if (current and current.version) != expected:
            raise VersionConflict(f"{key} was written by someone else")

    def _set(self, key: str, stored: Stored | None) -> None:
        self.log.append((key, stored))
        if stored is None:
            del self.values[key]
        else:
            self.values[key] = stored


@dataclass
class Letter:
    """A message in the queue."""

    body: str
    visible_at: float
    receipt: str = ""


class Mailbox(Queue):
    """The queue, which keeps no order.

    Attributes:
        letters: all messages. sent: how many were.
    """

    def __init__(self, world: World) -> None:
        self.letters: list[Letter] = []
        self.sent = 0
        self._world = world
        self._receipts = map(str, count(1))

    @property
    def visible(self) -> list[Letter]:
        """The messages that can be received."""
        now = self._world.now
        return [letter for letter in self.letters if letter.visible_at <= now]

    def take(self, letter: Letter) -> Delivery:
        """Return a delivery of the message."""
        letter.receipt = next(self._receipts)
        letter.visible_at = self._world.now + VISIBILITY_SECONDS
        return Delivery(letter.body, letter.receipt, VISIBILITY_SECONDS)

    def double(self, letter: Letter) -> None:
        """Let the message be there twice."""
        self.letters.append(replace(letter, receipt="", visible_at=self._world.now))

    def send(
        self,
        message: Message,
        *,
        deduplication_id: str | None = None,  # noqa: ARG002 - drops none
    ) -> None:
        """Put the message on the queue."""
        fate = self._meet("send", message.body())
        self.sent += 1
        self.letters.append(Letter(message.body(), self._world.now))
        self._answer(fate)

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Do nothing: whoever receives a message is told so by the world."""
        raise NotImplementedError

    def is_empty(self) -> bool:
        """Return whether no message is visible."""
        self._meet("ask", "")
        return not self.visible

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message."""
        fate = self._meet("hide", delivery.body)
        for letter in self.letters:
            if letter.receipt == delivery.receipt:
                letter.visible_at = self._world.now + seconds
        self._answer(fate)

    def ack(self, delivery: Delivery) -> None:
        """Delete the message."""
        fate = self._meet("ack", delivery.body)
        old = self._world.scene.takes_old_receipts and self._world.received.get(delivery.receipt)
        self.letters = [
            letter
            for letter in self.letters
            if letter.receipt != delivery.receipt and letter is not old
        ]
        self._answer(fate)

    def _meet(self, operation: str, body: str) -> str:
        fate = self._world.meet(f"{operation} {body}")
        if fate == "refused":
            raise QueueUnavailable("simulated")
        return fate

    def _answer(self, fate: str) -> None:
        if fate == "unanswered":
            raise QueueUnavailable("simulated")
