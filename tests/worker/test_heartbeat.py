"""What is done again and again while a thread is busy."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from outlast.worker.slices.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Beats:
    """The pauses between two beats: each lasts until a test lets it end."""

    def __init__(self) -> None:
        self._may_go = threading.Semaphore(0)
        self._paused = threading.Semaphore(0)

    def sleep(self, _seconds: float) -> None:
        """Wait for the next beat."""
        self._paused.release()
        self._may_go.acquire()

    def beat(self) -> None:
        """Let one beat happen, and wait until it is over."""
        assert self._paused.acquire(timeout=10)
        self._may_go.release()
        assert self._paused.acquire(timeout=10)
        self._paused.release()

    def end(self) -> None:
        """Let the thread find that there is nothing to do."""
        self._may_go.release()


def counting(calls: list[int]) -> Callable[[], None]:
    """An act that counts itself."""
    return lambda: calls.append(1)


def test_it_is_done_for_as_long_as_the_block_lasts() -> None:
    """A job whose kernel takes a minute to compile would be taken from each worker in turn."""
    beats, calls = Beats(), list[int]()
    heartbeat = Heartbeat(sleep=beats.sleep)
    with heartbeat.repeat(counting(calls)):
        beats.beat()
        beats.beat()
    assert calls == [1, 1]
    beats.end()


def test_blocks_share_one_thread_that_ends_when_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each short slice would pay for a thread, or an idle process would keep one for ever."""
    started: list[threading.Thread] = []
    start = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread, "start", lambda self: (started.append(self), start(self))[1]
    )
    beats, first, second = Beats(), list[int](), list[int]()
    heartbeat = Heartbeat(sleep=beats.sleep)
    with heartbeat.repeat(counting(first)), heartbeat.repeat(counting(second)):
        beats.beat()
    with heartbeat.repeat(counting(first)):
        beats.beat()
    assert (first, second, len(started)) == ([1, 1], [1], 1)
    beats.end()
    started[0].join(10)
    assert not started[0].is_alive()
    with heartbeat.repeat(counting(first)):
        beats.beat()
    assert len(started) == 2
    beats.end()


def test_nothing_is_under_way_when_the_block_ends() -> None:
    """A worker that has given its job back would hide the message from all others once more."""
    begun, left, done = threading.Event(), threading.Event(), list[bool]()

    def act() -> None:
        begun.set()
        done.append(left.wait(0.1))

    with Heartbeat(sleep=lambda _: None).repeat(act):
        begun.wait()
    were_done = bool(done)
    left.set()
    assert were_done


def test_an_error_ends_it_and_not_the_block(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that lost its job would write to it again and again; or die of it."""
    beats, calls = Beats(), list[int]()

    def fail() -> None:
        calls.append(1)
        raise ValueError("no longer ours")

    heartbeat = Heartbeat(sleep=beats.sleep)
    with (
        caplog.at_level(logging.WARNING),
        heartbeat.repeat(fail),
        heartbeat.repeat(lambda: None),
    ):
        beats.beat()
        beats.beat()
    assert calls == [1]
    assert "no longer ours" in caplog.text
    beats.end()
