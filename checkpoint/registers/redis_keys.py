"""Under which names a server keeps the values of a register, and which index lists them.

On one server all keys are in one index. A cluster runs a script on keys of one hash tag, and a
failover of one node may lose its last writes: so each index is beside the values that it lists. All
keys of a job have one tag, a number that follows from its id. With the id itself as the tag each
job would have an index of its own.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A list asks each index in turn; a cluster has no use of more nodes than tags.
TAGS = 32


@dataclass(frozen=True)
class Place:
    """Where keys are.

    Attributes:
        index: the name of the sorted set with all of them.
        before: what the name of a value has before its key.
        after: what it has after it.
    """

    index: str
    before: str
    after: str

    def name(self, key: str) -> str:
        """Return the server's name of a key that is here."""
        return f"{self.before}{key}{self.after}"


ONE_SERVER = Place("outlast:keys", "outlast:{", "}")


def _tagged(tag: int | str) -> Place:
    return Place(f"outlast:{{{tag}}}", f"outlast:{{{tag}}}/", "")


class Keys:
    """The places of all keys, on one server or on a cluster."""

    def __init__(self, *, is_cluster: bool) -> None:
        self.places = [_tagged(tag) for tag in range(TAGS)] if is_cluster else [ONE_SERVER]
        self.pattern = (_tagged("*") if is_cluster else ONE_SERVER).name("*")

    def place(self, key: str) -> Place:
        """Return where a key is: those of a job are all in one place."""
        job_id = key.split("/")[1] if "/" in key else key
        return self.places[zlib.crc32(job_id.encode()) % len(self.places)]

    def places_of(self, prefix: str) -> list[Place]:
        """Return where keys with this prefix may be."""
        return [self.place(prefix)] if prefix.count("/") > 1 else self.places

    def grouped(self, keys: Iterable[str]) -> Iterable[tuple[Place, list[str]]]:
        """Return the places of these keys, each with those that are there."""
        groups: defaultdict[Place, list[str]] = defaultdict(list)
        for key in keys:
            groups[self.place(key)].append(key)
        return groups.items()

    def name(self, key: str) -> str:
        """Return the server's name of a key."""
        return self.place(key).name(key)

    def entry(self, name: bytes) -> tuple[bytes, bytes]:
        """Return the index and the key that belong to a server's name that fits `pattern`."""
        if len(self.places) > 1:
            index, _, key = name.partition(b"/")
            return index, key
        return ONE_SERVER.index.encode(), name[len(ONE_SERVER.before) : -len(ONE_SERVER.after)]
