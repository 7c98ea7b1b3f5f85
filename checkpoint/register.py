"""The compare-and-set primitive under everything that is stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from outlast.checkpoint.errors import CorruptRecord, StoreUnavailable, VersionConflict
from outlast.checkpoint.store_clock import StoreClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    class Put(Protocol):
        """What `Register.put` is, or does the same and more in one step."""

        def __call__(self, key: str, value: bytes, *, expected: str | None) -> str:
            """Make one attempt to replace the value; return its new version."""


class Stored(NamedTuple):
    """A value as it was read, and its version, which the next write must name."""

    value: bytes
    version: str


class Register(ABC):
    """Named values, each replaced only by a caller who has seen the current one.

    A backend implements `read`, `put`, `delete` and `keys`, and overrides `peek` where reading the
    start of a value costs less than reading it all, and `remove` where it need not read at all. The
    caller makes sure that keys are plain ASCII words with slashes in between, and that no two
    values ever written under a key are the same bytes: on a store whose version is a hash of the
    value, a repeated value would have the version of the earlier one. That is why a record has a
    counter and its writer's id.

    Attributes:
        forgets_seconds: how much of its newest writes it may lose, although it has answered.
    """

    forgets_seconds: ClassVar[float] = 30.0

    @cached_property
    def clock(self) -> StoreClock:
        """How far this machine's clock is from the store's, as the answers to `read` tell."""
        return StoreClock()

    @abstractmethod
    def read(self, key: str) -> Stored | None:
        """Return the current value and its version, or None where the key does not exist.

        Raises:
            StoreUnavailable: the store did not answer or refused.
            CorruptRecord: the key holds a value that a register never writes.
        """

    @abstractmethod
    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Make one attempt to replace the value whose version is `expected`; return the new one.

        `expected=None` creates the key. When this returns, the value is as durable as the store
        makes it.

        Raises:
            VersionConflict: the current version is another one; or the key exists that should not,
                or does not exist that should.
            StoreUnavailable: no usable answer came; the value may or may not be written.
        """

    @abstractmethod
    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value whose version is `expected`.

        Raises:
            VersionConflict: the current version is another one, or the key does not exist.
            StoreUnavailable: no usable answer came; the value may or may not be gone.
        """

    @abstractmethod
    def keys(self, prefix: str, *, after: str = "", since: float = 0.0) -> Iterator[str]:
        """Yield the keys that begin with `prefix` and sort after `after`, in ascending order.

        A store whose list says when each value was written leaves out those from before `since`,
        in seconds since the epoch; any other yields them all.

        Raises:
            StoreUnavailable: the store did not answer or refused.
        """

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these values, a thousand at most, whichever version they have, and if they exist.

        Raises:
            StoreUnavailable: no usable answer came; some or all of them may be gone.
        """
        for key in keys:
            stored = self.read(key)
            if stored is not None:
                with suppress(VersionConflict):  # It is written or removed by someone else now.
                    self.delete(key, expected=stored.version)

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the first `limit_bytes` of each key's value, in the order of `keys`.

        None: the key does not exist; b"": it holds a value that a register never writes. Give
        some hundred keys at a time: they are read together, and all are in memory at once.

        Raises:
            StoreUnavailable: the store did not answer or refused.
        """
        return [self._start(key, limit_bytes) for key in keys]

    def _start(self, key: str, limit_bytes: int) -> bytes | None:
        try:
            stored = self.read(key)
        except CorruptRecord:
            return b""
        return stored.value[:limit_bytes] if stored else None

    def write(self, key: str, value: bytes, *, expected: str | None, put: Put | None = None) -> str:
        """Replace the value whose version is `expected` and return the new version.

        As `put`, but a write that has happened does not fail because its answer was lost or because
        a client library sent it twice: after a conflict or a failure the value is read back, and if
        it is the one to write, the write has happened. The attempt is made by the argument `put`,
        where there is one.
        """
        try:
            return (put or self.put)(key, value, expected=expected)
        except (VersionConflict, StoreUnavailable):
            current = self.read(key)
            if current is not None and current.value == value:
                return current.version
            raise
