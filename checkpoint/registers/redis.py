"""Values in Redis or Valkey, each replaced by a script that the server runs as one step."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import redis

from outlast.checkpoint.errors import CorruptRecord, VersionConflict
from outlast.checkpoint.redis_server import RedisServer, connect
from outlast.checkpoint.register import Register, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.commands.core import Script

PAGE_KEYS = 1000

# All keys, in a sorted set, as a scan would meet every key of other programs on the server. The
# empty key says that it is whole.
INDEX = "outlast:keys"

# redis-py repeats a call whose answer was lost. The repetition finds the version that the first
# attempt wrote, and has the same answer.
REPLACE = """
local current = redis.call('HGET', KEYS[1], 'version') or ''
if current == ARGV[2] then return 1 end
if current ~= ARGV[1] then return 0 end
redis.call('ZADD', KEYS[2], 0, ARGV[4])
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'value', ARGV[3])
"""
PUT = REPLACE + "return 1"
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
# its time to live; then its key leaves the index. No answer: there is no whole index.
PAGE = """
if not redis.call('ZSCORE', KEYS[1], '') then return false end
local page = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local answer = {page[#page]}
for _, key in ipairs(page) do
  if redis.call('EXISTS', 'outlast:{' .. key .. '}') == 1 then
    answer[#answer + 1] = key
  else
    redis.pcall('ZREM', KEYS[1], key)
  end
end
return answer
"""


class Putting(NamedTuple):
    """A script that begins with `REPLACE`, and the keys and arguments that follow its own."""

    script: Script
    keys: Sequence[str] = ()
    args: Sequence[Any] = ()


class RedisRegister(Register):
    """A register in one Redis or Valkey server, for any number of workers.

    How durable a value is depends on the server's configuration: only `appendfsync always` syncs
    each write, and a replica may lag. The server must not evict keys (`noeviction`). A value is a
    hash at `outlast:{key}`; a time to live that an operator sets on it survives the writes. The
    keys are listed from an index, `outlast:keys`, which the first list makes by a scan.
    Versions are random and never repeat.

    A delete whose answer was lost may raise VersionConflict, as the key is gone when redis-py
    repeats it.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._server = RedisServer(client)
        self._put = client.register_script(PUT)
        self._delete = client.register_script(DELETE)
        self._page = client.register_script(PAGE)

    @classmethod
    def from_url(cls, url: str) -> RedisRegister:
        """Return the register at `redis://…` or `rediss://…`, with redis-py's own URL options.

        Nothing is sent yet.

        Raises:
            ValueError, TypeError: the URL or an option is wrong.
        """
        return cls(connect(url))

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version; see `Register.read`."""
        with self._translate_errors(key):
            fields = self._client.hmget(_name(key), ["value", "version"])
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
        return self.put_by(Putting(self._put), key, value, expected=expected)

    def put_by(self, putting: Putting, key: str, value: bytes, *, expected: str | None) -> str:
        """Do as `put`, by that script."""
        version = secrets.token_hex(16)
        script, keys, args = putting
        with self._translate_errors(key, len(value)):
            changed = script(
                keys=[_name(key), INDEX, *keys],
                args=[expected or "", version, value, key, *args],
            )
        if not changed:
            raise VersionConflict(f"{self._server.name}: {key} was written by someone else")
        return version

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value; see `Register.delete`."""
        with self._translate_errors(key):
            changed = self._delete(keys=[_name(key), INDEX], args=[expected, key])
        if not changed:
            raise VersionConflict(f"{self._server.name}: {key} was written by someone else")

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these values in one round trip; see `Register.remove`."""
        if keys:
            with self._translate_errors(), self._client.pipeline(transaction=False) as pipeline:
                pipeline.zrem(INDEX, *keys)
                pipeline.delete(*map(_name, keys))
                pipeline.execute()

    def keys(
        self,
        prefix: str,
        *,
        after: str = "",
        since: float = 0.0,  # noqa: ARG002 - the index does not say when a value was written
    ) -> Iterator[str]:
        """Yield keys in order, read a thousand at a time."""
        start, end = prefix.encode(), _successor(prefix.encode())
        first = b"(" + after.encode() if after >= prefix else b"[" + start
        while page := self._read_page(first, end):
            # A foreign key may be any bytes.
            yield from (key.decode(errors="backslashreplace") for key in page[1:])
            first = b"(" + page[0]

    def _read_page(self, first: bytes, end: bytes) -> list[bytes]:
        with self._translate_errors():
            page = self._page(keys=[INDEX], args=[first, end, PAGE_KEYS])
            if page is None:
                self._make_index()
                page = self._page(keys=[INDEX], args=[first, end, PAGE_KEYS])
        return cast("list[bytes]", page)

    def _make_index(self) -> None:
        """Enter all keys that there are; those that are written meanwhile enter by themselves."""
        names = self._client.scan_iter(match=_name("*"), count=PAGE_KEYS)
        while batch := list(islice(names, PAGE_KEYS)):
            self._client.zadd(INDEX, {name[len("outlast:{") : -len("}")]: 0 for name in batch})
        self._client.zadd(INDEX, {"": 0})

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the values' first bytes, in one round trip; see `Register.peek`."""
        with self._translate_errors(), self._client.pipeline(transaction=False) as pipeline:
            # With it the server has the script, whatever it has forgotten. redis-py would ask for
            # it first, which needs one more right.
            pipeline.script_load(PEEK)
            for key in keys:
                pipeline.evalsha(PEEK_SHA, 1, _name(key), str(limit_bytes))
            return cast("list[bytes | None]", pipeline.execute()[1:])

    def name_of(self, key: str) -> str:
        """Return the server's name of a key."""
        return _name(key)

    def is_on(self, server: RedisServer) -> bool:
        """Whether that server and database is the register's, seen by the same user."""
        return server.address == self._server.address

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
        return CorruptRecord(f"{self._server.name}: what {_name(key)} holds is not Outlast's")

    @contextmanager
    def _translate_errors(self, key: str = "", sent_bytes: int = 0) -> Iterator[None]:
        with self._server.call(sent_bytes):
            try:
                yield
            except redis.ResponseError as error:
                if "WRONGTYPE" in str(error):
                    raise self._foreign(key) from error
                raise


def _name(key: str) -> str:
    """Return the server's name of a key; by the braces a cluster hashes the key alone."""
    return f"outlast:{{{key}}}"


def _successor(prefix: bytes) -> bytes:
    """Return the end of a range of a sorted set that holds what begins with `prefix`."""
    return b"(" + prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b"+"
