"""Changes, sent to all viewers."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from outlast.worker.dashboard.live import Live, Part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from outlast.worker.dashboard.live import Parts


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr("outlast.worker.dashboard.live.PERIOD_SECONDS", 0.01)


class Store:
    """Counts the looks, and shows a number that a test changes."""

    def __init__(self) -> None:
        self.looks = 0
        self.number = 1
        self.fails = False

    def look(self) -> Parts:
        """Return two parts, one of which never changes."""
        self.looks += 1
        if self.fails:
            raise RuntimeError("an error of ours")
        return {"number": Part(str(self.number), str(self.number)), "same": Part("-", "-")}


def always() -> bool:
    """Let the viewer look."""
    return True


async def _next(stream: AsyncIterator[str]) -> dict[str, str]:
    async for text in stream:
        if text.startswith("data: "):
            return {k: v["html"] for k, v in json.loads(text.removeprefix("data: ")).items()}
    raise AssertionError("the stream is over")


def test_only_changes_are_sent_and_one_look_serves_all() -> None:
    """Each open page would cost the store, and the network, as much as all of them together."""

    async def scenario() -> None:
        store, live = Store(), Live()
        with ExitStack() as viewers:
            enter = viewers.enter_context
            streams = [enter(live.viewer("/", store.look, always)) for _ in range(20)]
            assert live.viewers == 20
            for stream in streams:
                assert await _next(stream) == {"number": "1", "same": "-"}
            before, begun = store.looks, time.monotonic()
            store.number = 2
            assert [await _next(stream) for stream in streams] == [{"number": "2"}] * 20
            assert store.looks - before <= 2 + (time.monotonic() - begun) / 0.01
        assert live.viewers == 0
        assert live._channels == {}, "nobody looks, and the store is still asked"

    asyncio.run(scenario())


def test_an_error_of_ours_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    """One record that cannot be drawn would silence the page for good."""

    async def scenario() -> None:
        store, live = Store(), Live()
        with live.viewer("/", store.look, always) as stream:
            await _next(stream)
            store.fails, before = True, store.looks
            while store.looks < before + 2:
                await asyncio.sleep(0.01)
            store.fails, store.number = False, 3
            assert await _next(stream) == {"number": "3"}

    asyncio.run(scenario())
    assert "a page could not be brought up to date" in caplog.text
