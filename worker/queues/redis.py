"""A queue in Redis or Valkey, which may be the store's server and database, too."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.names import JOBS
from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.redis_server import RedisServer
from outlast.checkpoint.register import Stored
from outlast.checkpoint.registers.redis import RedisRegister
from outlast.worker.queues import redis_scripts as scripts
from outlast.worker.queues.contract import Backlog, Delivery, Queue, QueueUnavailable
from outlast.worker.queues.receives import MAX_RECEIVES, is_first, receipt_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.redis_client import RedisClient
    from outlast.checkpoint.register import Register
    from outlast.worker.queues.database import Database
    from outlast.worker.queues.message import Message

# A waiting consumer looks again after this long.
LONGEST_WAIT_SECONDS = 1.0
# A server looks ten times a second whose wait has ended.
SERVER_LAG_SECONDS = 0.1
# A server before Redis 7 takes less than a millisecond for "for ever".
SHORTEST_WAIT_SECONDS = 0.01


class RedisQueue(Queue):
    """The queue `name` of a server or a cluster, for any number of workers.

    The message that has been visible longest comes first. Visibility is counted by the server's
    clock. After `max_receives` deliveries a message is a dead letter; of these the server keeps the
    last 10,000. How durable a message is depends on the server's configuration, as it does for
    `RedisRegister`; one that is lost is sent anew by a sweep.
    """

    def __init__(self, client: RedisClient, name: str, *, max_receives: int = MAX_RECEIVES) -> None:
        self._server = RedisServer(client)
        self._keys = scripts.Keys.of(name)
        self._max_receives = max_receives
        self._send = client.register_script(scripts.SEND)
        self._receive = client.register_script(scripts.RECEIVE)
        self._look = client.register_script(scripts.LOOK)
        self._count = client.register_script(scripts.COUNT)
        self._hide = client.register_script(scripts.HIDE)
        self._ack = client.register_script(scripts.ACK)
        # An answer must come before the connection gives up on it.
        self._longest_wait = min(LONGEST_WAIT_SECONDS, self._server.answer_seconds / 2)

    @classmethod
    def from_url(cls, url: str, name: str) -> RedisQueue:
        """Return the queue `name` at a URL that `connect` takes; nothing is sent yet.

        Raises:
            ValueError, TypeError: the URL or an option is wrong.
        """
        return cls(connect(url), name)

    def reach(self) -> None:
        """Open a connection, which a refusal does as well."""
        with suppress(QueueUnavailable):
            self.is_empty()

    def send(
        self,
        message: Message,
        *,
        deduplication_id: str | None = None,  # noqa: ARG002 - drops none
        delay_seconds: float = 0.0,
    ) -> None:
        """Put `message` behind those that are visible, or will be in `delay_seconds`."""
        with translate_errors(self._server):
            self._send(self._keys, [message.body(), _microseconds(delay_seconds)])

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Return the message that has been visible longest.

        A signal does not end a wait (PEP 475): a caller that has a flag to check passes a short
        one.
        """
        batch = self.receive_batch(
            1, visibility_seconds=visibility_seconds, wait_seconds=wait_seconds
        )
        return batch[0] if batch else None

    def receive_batch(
        self,
        most: int,
        *,
        visibility_seconds: float,
        wait_seconds: float,
        register: RedisRegister | None = None,
    ) -> list[Delivery]:
        """Return the messages that have been visible longest, with their jobs in `register`."""
        end = time.monotonic() + wait_seconds
        with translate_errors(self._server):
            while True:
                batch, seconds = self._take(most, visibility_seconds, register)
                left = end - time.monotonic()
                if batch or left <= 0:
                    return batch
                if not self._is_woken(min(left, seconds)) and left <= seconds:
                    return []  # The time is up, and the next call looks.

    def _take(
        self, most: int, visibility_seconds: float, register: RedisRegister | None
    ) -> tuple[list[Delivery], float]:
        """Return the next messages; and, if none is visible, how long to wait for one."""
        name = register.name_of(JOBS + "%s") if register else ""
        args: list[str | int] = [_microseconds(visibility_seconds), self._max_receives, most, name]
        now, due, *fields = cast("list[bytes | None]", self._receive(self._keys, args))
        if register and register.clock.is_due:
            register.clock.saw(int(now or 0) / 1e6)
        batch = [
            _delivery(visibility_seconds, *fields[begin : begin + 4])
            for begin in range(0, len(fields), 4)
        ]
        return batch, self._longest_wait if due is None else min(int(due) / 1e6, self._longest_wait)

    def _is_woken(self, seconds: float) -> bool:
        """Wait so long for a token, which says that a message may be visible."""
        seconds = max(seconds - SERVER_LAG_SECONDS, SHORTEST_WAIT_SECONDS)
        return self._server.client.blpop([self._keys.wake], timeout=seconds) is not None

    def is_empty(self) -> bool:
        """Return whether no message is visible."""
        with translate_errors(self._server):
            return not self._look(self._keys)

    def backlog(self) -> Backlog:
        """Return what the server holds."""
        with translate_errors(self._server):
            waiting, hidden, dead, age = self._count(self._keys)
        return Backlog(waiting, hidden, dead, age / 1e6)

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now."""
        with translate_errors(self._server):
            self._hide(self._keys, [*receipt_fields(delivery), _microseconds(seconds)])

    def ack(self, delivery: Delivery) -> None:
        """Delete the message, even if it is a dead letter by now."""
        with translate_errors(self._server):
            self._ack(self._keys, receipt_fields(delivery))

    def database_with(self, register: Register) -> Database | None:
        """Return the server, if it is that of `register`."""
        if not (isinstance(register, RedisRegister) and register.is_on(self._server)):
            return None
        from outlast.worker.queues.redis_database import RedisDatabase  # which imports this

        return RedisDatabase(register, self, self._keys)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._server.client.close()


@contextmanager
def translate_errors(server: RedisServer) -> Iterator[None]:
    """Turn an error of the server into one of the queue."""
    try:
        with server.call():
            yield
    except StoreUnavailable as error:
        raise QueueUnavailable(f"queue {error}") from error


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _delivery(
    seconds: float,
    receipt: bytes | None,
    body: bytes | None,
    value: bytes | None,
    version: bytes | None,
) -> Delivery:
    stored = None
    if value is not None and version is not None:
        stored = Stored(value, version.decode(errors="replace"))
    text = (body or b"").decode(errors="replace")
    name = (receipt or b"").decode()
    return Delivery(text, name, seconds, stored, is_first(name))
