"""Changes of a page, sent to all its viewers; the store is asked once for all of them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

log = logging.getLogger("outlast.dashboard")

PERIOD_SECONDS = 1.0
# A slow store is asked less often: the looks take at most a tenth of the time.
PAUSE_PER_LOOK = 9.0
# Shows a proxy that the stream is alive.
HEARTBEAT_SECONDS = 15.0
HEARTBEAT = ": nothing new\n\n"
# How soon a browser comes back after the connection was lost.
RETRY = "retry: 1000\n\n"
MAX_VIEWERS = 100


class Part(NamedTuple):
    """A piece of a page; it is sent only to viewers who have a piece with another `mark`."""

    html: str
    mark: str


Parts = dict[str, Part]


class _Channel:
    """The present state of one page, and its viewers."""

    def __init__(self) -> None:
        self.parts: Parts = {}
        self.viewers = 0
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def wake_viewers(self) -> None:
        """End the wait of all viewers; later waits are for the next change."""
        self.news.set()
        self.news = asyncio.Event()


class Live:
    """The streams of events, and the looks at the store that feed them.

    A page with viewers is read from the store every PERIOD_SECONDS.
    """

    def __init__(self) -> None:
        self._channels: dict[str, _Channel] = {}
        self._is_over = False

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return sum(channel.viewers for channel in self._channels.values())

    def close(self) -> None:
        """End all streams."""
        self._is_over = True
        self.wake()

    def wake(self) -> None:
        """Have each stream ask at once whether its viewer may still look."""
        for channel in self._channels.values():
            channel.wake_viewers()

    @contextmanager
    def viewer(
        self, key: str, look: Callable[[], Parts], may_look: Callable[[], bool]
    ) -> Iterator[AsyncIterator[str]]:
        """Give a viewer the parts of the page `key` that `look` returns, while `may_look`.

        First come all parts, then those that change. The viewer counts from the beginning of the
        block to its end; where there are no viewers there are no looks.
        """
        channel = self._join(key, look)
        try:
            yield self._events(channel, may_look)
        finally:
            self._leave(key, channel)

    async def _events(self, channel: _Channel, may_look: Callable[[], bool]) -> AsyncIterator[str]:
        marks: dict[str, str] = {}
        yield RETRY
        while not self._is_over and may_look():
            news = channel.news
            fresh = {n: p for n, p in channel.parts.items() if marks.get(n) != p.mark}
            marks |= {name: part.mark for name, part in fresh.items()}
            yield _event(fresh) if fresh else HEARTBEAT
            await _wait(news, HEARTBEAT_SECONDS)

    def _join(self, key: str, look: Callable[[], Parts]) -> _Channel:
        channel = self._channels.setdefault(key, _Channel())
        channel.viewers += 1
        if channel.task is None:
            channel.task = asyncio.create_task(self._watch(channel, look))
        return channel

    def _leave(self, key: str, channel: _Channel) -> None:
        channel.viewers -= 1
        if channel.viewers == 0 and channel.task is not None:
            channel.task.cancel()
            del self._channels[key]

    async def _watch(self, channel: _Channel, look: Callable[[], Parts]) -> None:
        while True:
            started = time.monotonic()
            try:
                parts = await run_in_threadpool(look)
            except Exception:
                log.exception("a page could not be brought up to date")
            else:
                # Merged: parts that are missing in an outage stay as they are.
                is_new = channel.parts | parts != channel.parts
                channel.parts |= parts
                if is_new:
                    channel.wake_viewers()
            seconds = time.monotonic() - started
            await asyncio.sleep(max(PERIOD_SECONDS, PAUSE_PER_LOOK * seconds))


def _event(parts: Parts) -> str:
    return f"data: {json.dumps({name: part._asdict() for name, part in parts.items()})}\n\n"


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(news.wait(), seconds)
    except TimeoutError:
        return
