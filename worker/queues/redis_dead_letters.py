"""The dead letters of a queue in Redis: the ids that its scripts have laid aside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.redis_server import RedisServer
from outlast.worker.queues import redis_scripts as scripts
from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters
from outlast.worker.queues.redis import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.redis_client import RedisClient

PAGE_LETTERS = 500


class RedisDeadLetters(DeadLetters):
    """The dead letters of the queue `name`; each stays until it is dropped, or 10,000 follow it."""

    def __init__(self, client: RedisClient, name: str) -> None:
        self._server = RedisServer(client)
        self._keys = scripts.Keys.of(name)
        self._redrive = client.register_script(scripts.REDRIVE)
        self._drop = client.register_script(scripts.DROP)

    @classmethod
    def from_url(cls, url: str, name: str) -> RedisDeadLetters:
        """Return those of the queue `name` at a URL that `connect` takes; see `RedisQueue`."""
        return cls(connect(url), name)

    @contextmanager
    def look(self) -> Iterator[Iterator[DeadLetter]]:
        """Iterate over the dead letters; see `DeadLetters.look`."""
        yield self._read()

    def count(self) -> int:
        """Return how many there are."""
        with translate_errors(self._server):
            return self._server.client.zcard(self._keys.dead)

    def redrive(self, letter: DeadLetter) -> None:
        """Send the message again, in one step; see `DeadLetters.redrive`."""
        with translate_errors(self._server):
            self._redrive(self._keys, [letter.letter_id])

    def drop(self, letter: DeadLetter) -> None:
        """Delete the message for good; see `DeadLetters.drop`."""
        with translate_errors(self._server):
            self._drop(self._keys, [letter.letter_id])

    def close(self) -> None:
        """Close the connections."""
        self._server.client.close()

    def _read(self) -> Iterator[DeadLetter]:
        client = self._server.client
        with translate_errors(self._server):
            every = cast(
                "list[tuple[bytes, float]]", client.zrange(self._keys.dead, 0, -1, withscores=True)
            )
        for start in range(0, len(every), PAGE_LETTERS):
            page = every[start : start + PAGE_LETTERS]
            ids = [letter_id.decode() for letter_id, _ in page]
            with translate_errors(self._server):
                texts = cast("list[bytes | None]", client.hmget(self._keys.bodies, ids))
                counts = cast("list[bytes | None]", client.hmget(self._keys.receives, ids))
            for (letter_id, since), text, count in zip(page, texts, counts, strict=True):
                if text is not None:  # else it was dropped meanwhile
                    yield _letter(letter_id, since, text, int(count or 0))


def _letter(letter_id: bytes, since_microseconds: float, body: bytes, receives: int) -> DeadLetter:
    return DeadLetter(
        letter_id.decode(),
        body.decode(errors="replace"),
        receives,
        since_microseconds / 1e6,
        f"received {receives} times and never acknowledged",
    )
