"""Arrays that take minutes to send or to read: the job stays with its worker, and no slice dies."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.status import Status
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.protocol import Wait, next_action
from outlast.worker.slices.timing import Timing
from tests.blobs import settle
from tests.field import Field, expected
from tests.worker.line import Line, wait_within
from tests.worker.test_arrays import LARGE, Hall

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watched(Hall):
    """A hall in which another worker looks at the job in each second that arrays take.

    Attributes:
        looks: whether the job was left to its worker, each time.
        in_step: whether the kernel is in a step, so that what is sent goes on beside it.
        sent_in_step: that, for each chunk that was sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernel = Field(self.watched_step)
        self.looks: list[bool] = []
        self.in_step = False
        self.sent_in_step: list[bool] = []
        self._stands_still = threading.Event()
        self._line = threading.Lock()  # One thread at a time moves the clock.

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Leave the clock to those who send, within the block."""
        self._stands_still.set()
        yield
        self._stands_still.clear()

    def watched_step(self, number: int) -> None:
        """Let a step take its time, and those who send theirs."""
        self.in_step = True
        with self.standing_still():
            settle()
        self.in_step = False
        self.step(number)

    def slow_put(self, operation: str) -> None:
        """Let each chunk that is sent take long, but no step for so long that it may hang."""
        if operation == "put":
            assert self._stands_still.wait(60)
            with self._line:
                self.sent_in_step.append(self.in_step)
                self._pass(50 if self.in_step else 100)

    def slow_read(self, operation: str) -> None:
        """Let each chunk that is read take long."""
        if operation == "read_into":
            with self._line:
                self._pass(100)

    def _pass(self, seconds: int) -> None:
        for _ in range(seconds):
            self.busy(1.0)
            action = next_action(self.record, None, self.clock())
            self.looks.append(isinstance(action, Wait))


@pytest.mark.parametrize("in_step", [True, False])
def test_a_worker_keeps_its_job_however_long_its_arrays_are_sent(
    monkeypatch: pytest.MonkeyPatch, *, in_step: bool
) -> None:
    """Two workers would do the same work, and each one's save would be refused for the other's."""
    hall = Watched()
    wait_within(hall.standing_still, monkeypatch)
    hall.blobs.before = hall.slow_put
    hall.submit(kernel="field", steps=10_000, arrays=10, numbers=LARGE)
    timing = Timing(checkpoint_seconds=1.0 if in_step else 600.0)
    if not in_step:
        timing.saw_reading(1.0, 100_000_000)  # Else the first state is saved at once.
    deliver(hall.process(timing=timing), hall.receive(), slice_seconds=1500.0 if in_step else 9.0)
    record = hall.record
    assert hall.sent_in_step.count(in_step) >= 11
    assert set(hall.looks) == {True}
    assert (record.status, record.usage.redone_seconds) == (Status.QUEUED, 0.0)
    assert record.usage.saves >= 1


def test_a_worker_keeps_its_job_however_long_its_arrays_are_read() -> None:
    """A large state could not be loaded at all: each worker would lose the job meanwhile."""
    hall = Watched()
    hall.submit(kernel="field", steps=20, arrays=10, numbers=LARGE)
    hall.work(seconds=6.0)
    before = hall.record.usage
    hall.blobs.before = hall.slow_read
    hall.finish()
    assert set(hall.looks) == {True}
    assert len(hall.looks) > 600
    assert hall.record.usage.slices_begun == before.slices_begun + 1
    assert hall.result() == expected(steps=20, arrays=10, numbers=LARGE)


ARRAYS = 12
STATE_BYTES = ARRAYS * LARGE * 4
INVOCATION_SECONDS = 90.0


class Afar(Hall):
    """A hall whose place for arrays is behind a line, and that a function works in.

    Attributes:
        begun_at: when the last invocation began.
    """

    blobs: Line

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, send_seconds: float) -> None:
        """Let the line need so long for the whole state."""
        super().__init__()
        self.blobs = Line(self.clock, STATE_BYTES / send_seconds)
        wait_within(self.blobs.waited_for, monkeypatch)
        self.begun_at = self.clock()
        self.submit(kernel="field", steps=10_000, arrays=ARRAYS, numbers=LARGE)

    def step(self, number: int) -> None:
        """Let a step take its time, in which what is sent arrives."""
        self.blobs.passes(self.step_seconds)
        self.watched(number)

    def invoke(self, **timing: float) -> None:
        """Work on the job in a new process, which would be killed after its time."""
        self.begun_at = self.clock()
        steps = self.record.usage.steps
        self.work(self.process(timing=Timing(**timing)), seconds=INVOCATION_SECONDS)
        assert self.clock() - self.begun_at <= INVOCATION_SECONDS
        assert self.record.usage.steps > steps


@pytest.mark.parametrize("send_seconds", [1.0, 9.0, 22.0, 30.0, 36.0])
def test_a_function_is_never_killed_while_it_saves(
    monkeypatch: pytest.MonkeyPatch, send_seconds: float
) -> None:
    """All that an invocation did since the save before would be done again, each time."""
    afar = Afar(monkeypatch, send_seconds=send_seconds)
    for _ in range(3):  # The first one knows nothing of the line, the others have read by it.
        afar.invoke()


def test_a_function_knows_from_reading_how_long_it_will_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that saves only at its end would find out too late, in each invocation."""
    afar = Afar(monkeypatch, send_seconds=22.0)
    afar.invoke()
    afar.invoke(checkpoint_seconds=600.0)


@pytest.mark.parametrize(
    ("factor", "after_seconds"),
    [(1.5, 0.0), (1.5, 30.0), (1.5, 60.0), (1.5, 80.0), (2.0, 0.0), (2.0, 30.0), (2.0, 60.0)],
)
def test_a_function_is_not_killed_where_its_store_becomes_slow(
    monkeypatch: pytest.MonkeyPatch, factor: float, after_seconds: float
) -> None:
    """One slow hour of a bucket would cost all invocations in it."""
    afar = Afar(monkeypatch, send_seconds=9.0)
    afar.invoke()
    rate = afar.blobs.bytes_a_second

    def slow_down(_: int) -> None:
        if afar.clock() - afar.begun_at >= after_seconds:
            afar.blobs.bytes_a_second = rate / factor

    afar.watched = slow_down
    afar.invoke()
    afar.invoke()
