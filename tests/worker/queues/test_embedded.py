"""The embedded queues and time, on a clock that only the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.worker.queues.message import Message
from tests.worker.queues.test_conformance import take

if TYPE_CHECKING:
    from tests.worker.queues.backends import Backend


def test_a_message_shows_again_when_its_time_is_up(embedded: Backend) -> None:
    """The job of a killed worker would stand still for ever."""
    assert embedded.clock
    embedded.queue.send(Message(job_id="a", slice=1))
    assert embedded.queue.receive(visibility_seconds=30, wait_seconds=0)
    embedded.clock.now += 29.9
    assert embedded.queue.receive(visibility_seconds=30, wait_seconds=0) is None
    embedded.clock.now += 0.1
    assert embedded.queue.receive(visibility_seconds=30, wait_seconds=0)


def test_a_hide_counts_from_now(embedded: Backend) -> None:
    """A long slice would lose its message although it renewed it."""
    assert embedded.clock
    embedded.queue.send(Message(job_id="a", slice=1))
    delivery = embedded.queue.receive(visibility_seconds=30, wait_seconds=0)
    assert delivery
    embedded.clock.now += 20
    embedded.queue.hide(delivery, 30)
    embedded.clock.now += 29
    assert embedded.queue.receive(visibility_seconds=30, wait_seconds=0) is None
    embedded.clock.now += 1
    assert embedded.queue.receive(visibility_seconds=30, wait_seconds=0)


def test_the_longest_visible_message_comes_first(embedded: Backend) -> None:
    """A job could starve behind newer ones."""
    assert embedded.clock
    for job_id in ("a", "b", "c"):
        embedded.queue.send(Message(job_id=job_id, slice=1))
        embedded.clock.now += 1
    first = take(embedded.queue)
    embedded.queue.hide(first, 0)
    assert [Message.parse(take(embedded.queue).body).job_id for _ in "bca"] == ["b", "c", "a"]


def test_waiting_ends_with_the_wait_and_in_short_sleeps(embedded: Backend) -> None:
    """An idle worker would see SIGTERM late, or never return to look at its flag."""
    assert embedded.clock
    assert embedded.queue.receive(visibility_seconds=30, wait_seconds=1) is None
    assert sum(embedded.clock.slept) == pytest.approx(1)
    assert max(embedded.clock.slept) <= 0.05


def test_waiting_ends_with_a_message(embedded: Backend) -> None:
    """A worker would let a job wait although it has nothing else to do."""
    assert embedded.clock
    embedded.queue.send(Message(job_id="a", slice=1))
    assert embedded.queue.receive(visibility_seconds=0.2, wait_seconds=0)
    assert embedded.queue.receive(visibility_seconds=30, wait_seconds=1)
    assert sum(embedded.clock.slept) == pytest.approx(0.2)
