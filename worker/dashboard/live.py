"""What has changed, to all who look at a page: one look at the store, however many they are."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = logging.getLogger("outlast.dashboard")

PERIOD_SECONDS = 1.0
# A slow store is asked less often: looking at it takes at most a tenth of the time.
PAUSE_PER_LOOK = 9.0
# Tells a proxy in between that the stream lives.
HEARTBEAT_SECONDS = 15.0
HEARTBEAT = ": nothing new\n\n"
# How soon a browser comes back after the connection was lost.
RETRY = "retry: 1000\n\n"
MOST_VIEWERS = 100


class Part(NamedTuple):
    """A piece of a page; who has a piece of the same `mark` need not be sent it again."""

    html: str
    mark: str


Parts = dict[str, Part]


class _Channel:
    """What one page shows at present, for all who look at it."""

    def __init__(self) -> None:
        self.parts: Parts = {}
        self.viewers = 0
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """Wake all viewers; who waits from here on waits for the next time."""
        self.news.set()
        self.news = asyncio.Event()


class Live:
    """The streams of events, and the looks at the store that feed them.

    A page is looked up every PERIOD_SECONDS, while somebody looks at it.
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
        for channel in self._channels.values():
            channel.tell()

    async def events(self, key: str, look: Callable[[], Parts]) -> AsyncIterator[str]:
        """Yield the parts of the page `key` that `look` returns, each whenever it has changed.

        All are told first. Looking is over as soon as nobody iterates any more.
        """
        channel = self._joined(key, look)
        seen: dict[str, str] = {}
        try:
            yield RETRY
            while not self._is_over:
                news = channel.news
                fresh = {n: p for n, p in channel.parts.items() if seen.get(n) != p.mark}
                seen |= {name: part.mark for name, part in fresh.items()}
                yield _event(fresh) if fresh else HEARTBEAT
                await _wait(news, HEARTBEAT_SECONDS)
        finally:
            self._leave(key, channel)

    def _joined(self, key: str, look: Callable[[], Parts]) -> _Channel:
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
            begun = time.monotonic()
            try:
                parts = await run_in_threadpool(look)
            except Exception:
                log.exception("a page could not be brought up to date")
            else:
                # What an outage leaves out stays as it was.
                changed = channel.parts | parts != channel.parts
                channel.parts |= parts
                if changed:
                    channel.tell()
            took = time.monotonic() - begun
            await asyncio.sleep(max(PERIOD_SECONDS, PAUSE_PER_LOOK * took))


def _event(parts: Parts) -> str:
    return f"data: {json.dumps({name: part._asdict() for name, part in parts.items()})}\n\n"


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(news.wait(), seconds)
    except TimeoutError:
        return
