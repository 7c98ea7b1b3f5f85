"""What has changed, told to all who look."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from worker.dashboard.live import Live, Part
from worker.dashboard.words import duration, line, params, percent, size, speed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.dashboard.live import Parts


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr("worker.dashboard.live.PERIOD_SECONDS", 0.01)


class Store:
    """Counts who looks, and shows a number that a test changes."""

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


async def _next(stream: AsyncIterator[str]) -> dict[str, str]:
    async for text in stream:
        if text.startswith("data: "):
            return {k: v["html"] for k, v in json.loads(text.removeprefix("data: ")).items()}
    raise AssertionError("the stream is over")


def test_only_what_has_changed_is_told_and_one_look_serves_all() -> None:
    """Each open page would cost the store, and the network, as much as all of them together."""

    async def scenario() -> None:
        store, live = Store(), Live()
        streams = [live.events("/", store.look) for _ in range(20)]
        for stream in streams:
            assert await _next(stream) == {"number": "1", "same": "-"}
        assert live.viewers == 20
        before, begun = store.looks, time.monotonic()
        store.number = 2
        assert [await _next(stream) for stream in streams] == [{"number": "2"}] * 20
        assert store.looks - before <= 2 + (time.monotonic() - begun) / 0.01
        for stream in streams:
            await stream.aclose()
        assert live.viewers == 0
        assert live._channels == {}, "nobody looks, and the store is still asked"

    asyncio.run(scenario())


def test_an_error_of_ours_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    """One record that cannot be drawn would silence the page for good."""

    async def scenario() -> None:
        store, live = Store(), Live()
        stream = live.events("/", store.look)
        await _next(stream)
        store.fails, before = True, store.looks
        while store.looks < before + 2:
            await asyncio.sleep(0.01)
        store.fails, store.number = False, 3
        assert await _next(stream) == {"number": "3"}
        await stream.aclose()

    asyncio.run(scenario())
    assert "a page could not be brought up to date" in caplog.text


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (percent(0.999999), "99.99 %"),
        (percent(1.0), "100.00 %"),
        (percent(0.0), "0.00 %"),
        (duration(0.04), "0.0 s"),
        (duration(59.6), "1 min"),
        (duration(3_725), "1 h 2 min"),
        (duration(1e9), "11,574 d 1 h"),
        (speed(0.02), "2 %/s"),
        (speed(0.0001), "0.6 %/min"),
        (speed(1e-6), "0.36 %/h"),
        (speed(1e-9), "0.0086 %/d"),
        (size(1023), "1,023 bytes"),
        (size(1 << 20), "1.0 MiB"),
        (
            params({"position": 10**15, "n": -1_500, "flag": True}),
            "position=1e15 n=-1_500 flag=true",
        ),
        (line("a\nb\u202e\x00"), "a\\nb\\u202e\\x00"),
        (line("x" * 300, 5), "xxxxx … (300 characters in all)"),
    ],
)
def test_numbers_and_texts_read_well(said: str, expected: str) -> None:
    """A job at 99.999 % would be called done, or a text hide what it says."""
    assert said == expected
