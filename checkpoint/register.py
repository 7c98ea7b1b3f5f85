"""The compare-and-set primitive on which everything stored rests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.errors import CorruptRecord, StoreUnavailable, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Stored(NamedTuple):
    """A value as it was read, with the token that a later write must present."""

    value: bytes
    version: str


class Register(ABC):
    """Named values, each replaced only by a caller who has seen the current one.

    A backend provides `read`, `put`, `delete` and `keys`, and its own `peek` where it can read the
    start of a value for less than the whole. Keys are plain ASCII words separated by
    slashes; the caller vouches for that. No two values ever written under a key may be the same
    bytes: on a store whose version is a hash of the value, a repeated one could not be told from
    the earlier one. A record carries a counter and its writer's id for this reason.
    """

    @abstractmethod
    def read(self, key: str) -> Stored | None:
        """Return the current value and its version, or None where the key does not exist.

        Raises:
            StoreUnavailable: the store did not answer or refused.
            CorruptRecord: someone else has put there what a register never does.
        """

    @abstractmethod
    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Make one attempt to replace the value whose version is `expected`; return the new one.

        `expected=None` creates the key. The value is durable, as far as the store can make it,
        when this returns.

        Raises:
            VersionConflict: the current version is another one, or the key (does not) exist.
            StoreUnavailable: no usable answer came; the value may or may not have been written.
        """

    @abstractmethod
    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value whose version is `expected`.

        Raises:
            VersionConflict: the current version is another one, or the key does not exist.
            StoreUnavailable: no usable answer came; the value may or may not be gone.
        """

    @abstractmethod
    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix` and sort after `after`, in ascending order.

        Raises:
            StoreUnavailable: the store did not answer or refused.
        """

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the first `limit_bytes` of each key's value, in the order of `keys`.

        None stands for a key that does not exist, b"" for what a register never puts there. Give
        a hundred keys or so at a time: they are read together, and all are in memory at once.

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

    def write(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Replace the value whose version is `expected` and return the new version.

        As `put`, but an unclear answer is made clear where that is possible. A write whose answer
        was lost, or that a client library sent twice, meets its own value: so after a conflict or
        a failure the value is read back, and if it is ours the write has happened.
        """
        try:
            return self.put(key, value, expected=expected)
        except (VersionConflict, StoreUnavailable):
            current = self.read(key)
            if current is not None and current.value == value:
                return current.version
            raise
