"""Values in Redis or Valkey, each replaced by a script that a server runs as one step."""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import redis

from outlast.checkpoint.errors import CorruptRecord, VersionConflict
from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.redis_server import RedisServer
from outlast.checkpoint.register import Register, Stored
from outlast.checkpoint.registers.redis_keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.commands.core import Script

    from outlast.checkpoint.redis_client import RedisClient
    from outlast.checkpoint.registers.redis_keys import Place

PAGE_KEYS = 1000

# An index is a sorted set of keys, as a scan would meet every key of other programs on the server.
# The empty key says that it is whole.

# redis-py repeats a call whose answer was lost. The repetition finds the version that the first
# attempt wrote, and has the same answer.
COMPARE = """
local current = redis.call('HGET', KEYS[1], 'version') or ''
if current == ARGV[2] then return 1 end
if current ~= ARGV[1] then return 0 end
"""
REPLACE = """
redis.call('ZADD', KEYS[2], 0, ARGV[4])
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'value', ARGV[3])
"""
PUT = COMPARE + REPLACE + "return 1"
DELETE = """
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[2])
return redis.call('DEL', KEYS[1])
"""
# A value that is not a hash is foreign: the answer for it is empty.
PEEK = """
local value = redis.pcall('HGET', KEYS[1], 'value')
if type(value) == 'table' then
  return string.find(tostring(value.err), 'WRONGTYPE') and '' or value
end
return value and string.sub(value, 1, ARGV[1])
"""
PEEK_SHA = hashlib.sha1(PEEK.encode(), usedforsecurity=False).hexdigest()  # its name on a server

# A page of the index: where it ends, then those of its keys that exist. A value may have ended with
# its time to live; then its key leaves the index. No answer: the index is not whole.
PAGE = """
if not redis.call('ZSCORE', KEYS[1], '') then return false end
local page = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local answer = {page[#page]}
for _, key in ipairs(page) do
  if redis.call('EXISTS', ARGV[4] .. key .. ARGV[5]) == 1 then
    answer[#answer + 1] = key
  else
    redis.pcall('ZREM', KEYS[1], key)
  end
end
return answer
"""


class PutScript(NamedTuple):
    """A script that does what `PUT` does, and the keys and arguments that follow its own."""

    script: Script
    keys: Sequence[str] = ()
    args: Sequence[Any] = ()


class RedisRegister(Register):
    """A register in a Redis or Valkey server or a cluster of them, for any number of workers.

    How durable a value is depends on the server's configuration: only `appendfsync always` syncs
    each write, and a replica may lag. The server must not evict keys (`noeviction`). A value is a
    hash; a time to live that an operator sets on it survives the writes. The keys are listed from
    indexes, which the first list makes by a scan; `Keys` has their names. Versions are random and
    never repeat.

    A delete whose answer was lost may raise VersionConflict, as the key is gone when redis-py
    repeats it.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._server = RedisServer(client)
        self._keys = Keys(is_cluster=self._server.is_cluster)
        self._put = client.register_script(PUT)
        self._delete = client.register_script(DELETE)
        self._page = client.register_script(PAGE)

    @classmethod
    def from_url(cls, url: str) -> RedisRegister:
        """Return the register at a URL that `connect` takes.

        Nothing is sent yet.

        Raises:
            ValueError, TypeError: the URL or an option is wrong.
        """
        return cls(connect(url))

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version; see `Register.read`."""
        with self._translate_errors(key):
            fields = self._client.hmget(self._keys.name(key), ["value", "version"])
            if self.clock.is_due:
                self.clock.saw(self._time())
        value, version = cast("list[bytes | None]", fields)
        if value is None or version is None:
            return None
        try:
            return Stored(value, version.decode())
        except UnicodeDecodeError as error:
            raise self._foreign(key) from error

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Make one attempt to replace the value; see `Register.put`."""
        return self.put_with(PutScript(self._put), key, value, expected=expected)

    def put_with(self, put: PutScript, key: str, value: bytes, *, expected: str | None) -> str:
        """Do as `put`, by that script."""
        version = secrets.token_hex(16)
        script, keys, args = put
        with self._translate_errors(key, len(value)):
            changed = script(
                keys=[*self._names(key), *keys],
                args=[expected or "", version, value, key, *args],
            )
        if not changed:
            raise VersionConflict(f"{self._server.name}: {key} was written by someone else")
        return version

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value; see `Register.delete`."""
        with self._translate_errors(key):
            changed = self._delete(keys=self._names(key), args=[expected, key])
        if not changed:
            raise VersionConflict(f"{self._server.name}: {key} was written by someone else")

    def _names(self, key: str) -> list[str]:
        """Return the server's names of a value and its index."""
        place = self._keys.place(key)
        return [place.name(key), place.index]

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these values in one round trip; see `Register.remove`."""
        if not keys:
            return
        with self._translate_errors(), self._client.pipeline(transaction=False) as pipeline:
            for place, here in self._keys.grouped(keys):
                pipeline.execute_command("ZREM", place.index, *here)
                pipeline.execute_command("DEL", *map(place.name, here))
            pipeline.execute()

    def keys(
        self,
        prefix: str,
        *,
        after: str = "",
        since: float = 0.0,  # noqa: ARG002 - the index does not say when a value was written
    ) -> Iterator[str]:
        """Yield keys in order, read a thousand at a time from each place where they may be."""
        return merge(
            *(self._listed(place, prefix, after) for place in self._keys.places_of(prefix))
        )

    def _listed(self, place: Place, prefix: str, after: str) -> Iterator[str]:
        start, end = prefix.encode(), _successor(prefix.encode())
        first = b"(" + after.encode() if after >= prefix else b"[" + start
        while page := self._read_page(place, first, end):
            # A foreign key may be any bytes.
            yield from (key.decode(errors="backslashreplace") for key in page[1:])
            first = b"(" + page[0]

    def _read_page(self, place: Place, first: bytes, end: bytes) -> list[bytes]:
        args: list[Any] = [first, end, PAGE_KEYS, place.before, place.after]
        with self._translate_errors():
            page = self._page(keys=[place.index], args=args)
            if page is None:
                self._make_indexes()
                page = self._page(keys=[place.index], args=args)
        return cast("list[bytes]", page)

    def _make_indexes(self) -> None:
        """Enter all keys that there are; those that are written meanwhile enter by themselves."""
        names = self._client.scan_iter(match=self._keys.pattern, count=PAGE_KEYS)
        while batch := list(islice(names, PAGE_KEYS)):
            indexes: defaultdict[bytes, dict[bytes, float]] = defaultdict(dict)
            for index, key in map(self._keys.entry, batch):
                indexes[index][key] = 0
            for index, entries in indexes.items():
                self._client.zadd(index, entries)
        for place in self._keys.places:
            self._client.zadd(place.index, {"": 0})

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the values' first bytes, in one round trip to each node; see `Register.peek`."""
        with self._translate_errors():
            try:
                return self._peek_at_once(keys, limit_bytes)
            except redis.exceptions.NoScriptError as error:
                # Its frames hold the connection in a circle, for which no command's end looks.
                clear_frames(error.__traceback__)
                self._client.script_load(PEEK)
                return self._peek_at_once(keys, limit_bytes)

    def _peek_at_once(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                # Not by `evalsha`: with that redis-py would ask for the script first, which needs
                # one more right, and a cluster's pipeline refuses it.
                words = (PEEK_SHA, 1, self._keys.name(key), limit_bytes)
                pipeline.execute_command("EVALSHA", *words)
            return cast("list[bytes | None]", pipeline.execute())

    def name_of(self, key: str) -> str:
        """Return the server's name of a key."""
        return self._keys.name(key)

    def script(self, text: str) -> Script:
        """Return a script that runs on the register's connections."""
        return self._client.register_script(text)

    def is_on(self, server: RedisServer) -> bool:
        """Whether that server and database is the register's, seen by the same user."""
        return server.address is not None and server.address == self._server.address

    def _time(self) -> float | None:
        try:
            seconds, microseconds = self._client.time()
        except redis.exceptions.NoPermissionError:
            return None
        return seconds + microseconds / 1e6

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._client.close()

    def _foreign(self, key: str) -> CorruptRecord:
        return CorruptRecord(
            f"{self._server.name}: what {self._keys.name(key)} holds is not Outlast's"
        )

    @contextmanager
    def _translate_errors(self, key: str = "", sent_bytes: int = 0) -> Iterator[None]:
        with self._server.call(sent_bytes):
            try:
                yield
            except redis.ResponseError as error:
                if "WRONGTYPE" in str(error):
                    raise self._foreign(key) from error
                raise


def _successor(prefix: bytes) -> bytes:
    """Return the end of a range of a sorted set that holds what begins with `prefix`."""
    return b"(" + prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b"+"
