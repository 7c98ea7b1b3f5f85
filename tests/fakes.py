"""What tests put in place of the world: a clock, a store and a queue that a test controls."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.register import Register, Stored
from outlast.worker.queues.memory import MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.message import Message

    Hook = Callable[[str], None]

START = 1_800_000_000.0


class FakeClock:
    """Seconds since the epoch, by a clock that moves only where a test moves it."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let that many seconds pass at once."""
        self.now += seconds


class MemoryRegister(Register):
    """A register in this process.

    Attributes:
        values: what is stored, by key; a test may damage it.
        before, after: called with the name of each operation, before and after it takes effect;
            a test puts a function there that raises, or that acts as someone else would.
    """

    def __init__(self) -> None:
        self.values: dict[str, Stored] = {}
        self.before: Hook = lambda _: None
        self.after: Hook = lambda _: None
        self._versions = count(1)

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version."""
        self.before("read")
        stored = self.values.get(key)
        self.after("read")
        return stored

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Replace the value."""
        self.before("put")
        self._check(key, expected)
        version = str(next(self._versions))
        self.values[key] = Stored(value, version)
        self.after("put")
        return version

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value."""
        self.before("delete")
        self._check(key, expected)
        del self.values[key]
        self.after("delete")

    def keys(
        self,
        prefix: str,
        *,
        after: str = "",
        since: float = 0.0,  # noqa: ARG002 - nothing says when a value was written
    ) -> Iterator[str]:
        """Yield the keys in order."""
        self.before("keys")
        yield from sorted(k for k in self.values if k.startswith(prefix) and k > after)

    def _check(self, key: str, expected: str | None) -> None:
        current = self.values.get(key)
        if (current and current.version) != expected:
            raise VersionConflict(f"{key} was written by someone else")


class HookedQueue(MemoryQueue):
    """A queue in this process, whose `before` and `after` are those of `MemoryRegister`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.before: Hook = lambda _: None
        self.after: Hook = lambda _: None

    def look(self, visibility_seconds: float) -> Delivery | None:
        """Return the next visible message."""
        self.before("look")
        delivery = super().look(visibility_seconds)
        self.after("look")
        return delivery

    def send(self, message: Message, *, deduplication_id: str | None = None) -> None:
        """Put the message on the queue."""
        self.before("send")
        super().send(message, deduplication_id=deduplication_id)
        self.after("send")

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message."""
        self.before("hide")
        super().hide(delivery, seconds)
        self.after("hide")

    def ack(self, delivery: Delivery) -> None:
        """Delete the message."""
        self.before("ack")
        super().ack(delivery)
        self.after("ack")
