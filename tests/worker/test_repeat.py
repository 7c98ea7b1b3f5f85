"""What is done again and again while a thread is busy."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from outlast.worker.slices import repeat
from outlast.worker.slices.repeat import repeated

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def counting(enough: int, then: Callable[[], object]) -> Callable[[], None]:
    """An act that does `then` from the time on that it was done often enough."""
    left = iter(range(enough - 1))

    def act() -> None:
        if next(left, None) is None:
            then()

    return act


def await_end() -> None:
    """Wait until the heartbeat has ended."""
    for thread in threading.enumerate():
        if thread.name == "outlast-heartbeat":
            thread.join(10)


def test_it_is_done_for_as_long_as_the_block_lasts() -> None:
    """A job whose kernel takes a minute to compile would be taken from each worker in turn."""
    often = threading.Event()
    with repeated(counting(3, often.set), every_seconds=0.001):
        assert often.wait(10)
    often.clear()
    assert not often.wait(0.05)
    assert "outlast-heartbeat" not in [thread.name for thread in threading.enumerate()]


def test_an_error_ends_it_and_not_the_block(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that lost its job would write to it again and again; or die of it."""
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ValueError("no longer ours")

    with caplog.at_level(logging.WARNING), repeated(fail, every_seconds=0.001):
        await_end()
    assert calls == [1]
    assert "no longer ours" in caplog.text


def test_it_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that hangs while it is prepared would hold its job for ever."""
    monkeypatch.setattr(repeat, "LONGEST_SECONDS", 0.01)
    calls: list[int] = []
    with repeated(lambda: calls.append(1), every_seconds=0.001):
        await_end()
    assert len(calls) == 10
