"""Isolated kernels with arrays: what they yield stays with them until it is to be stored."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.checkpoint.status import Status
from outlast.kernel import Resources
from outlast.kernel.bulk import dumped, loaded
from outlast.worker.slices.held import Held
from outlast.worker.slices.isolation.parent import BUSY, isolated
from outlast.worker.slices.timing import Timing
from tests.field import Field, Params, State, expected
from tests.worker.test_arrays import LARGE, Hall, result_in


@pytest.fixture
def hall() -> Hall:
    """A hall whose clock moves with the deliveries only: steps are in another process."""
    hall = Hall()
    hall.kernel = Field()
    return hall


def run_isolated(params: Params, state: State | None = None, *, stop_at: int | None = None):
    """Run to the end, or to a safe point; return the result, or the state there as it is stored."""
    begin = [dumped(params)] + ([dumped(state)] if state else [])
    steps = isolated(Field(), begin, Resources())
    rows: list[bytearray] = []

    def row(size: int) -> memoryview:
        rows.append(bytearray(size))
        return memoryview(rows[-1])

    done = state.at if state else 0
    while True:
        try:
            answer = next(steps)
        except StopIteration as end:
            return end.value
        if answer is BUSY:
            continue
        assert isinstance(answer, Held)
        done += 1
        assert answer.progress() == done / params.steps
        if done == stop_at:
            stored = answer.stored(1 << 20, row)
            assert answer.bulk_bytes() == stored.bulk.size == len(rows[0])
            steps.close()
            return loaded(State, *stored)


def test_a_state_comes_whole_from_the_kernels_process() -> None:
    """An isolated job would go on from arrays that are not those of its kernel."""
    params = Params(steps=9, numbers=LARGE)
    middle = run_isolated(params, stop_at=4)
    assert middle.at == 4
    assert run_isolated(params, middle) == expected(steps=9, numbers=LARGE)


def test_an_isolated_job_has_the_result_of_an_uncut_run(hall: Hall) -> None:
    """Isolating a kernel would change its answer, or lose its arrays with the process."""
    hall.submit(kernel="field", steps=20, numbers=LARGE)
    process = hall.process(isolate=True, watch=lambda _: hall.clock.sleep(0.5))
    while not hall.record.status.is_final:
        hall.work(process, seconds=4.0)
    assert hall.record.status is Status.SUCCEEDED, hall.record.error
    assert hall.record.usage.slices_begun > 2
    assert result_in(hall.record, hall.blobs) == expected(steps=20, numbers=LARGE)


@pytest.mark.parametrize("limit", [{"seconds": 3.0}, {"max_compute_seconds": 2.0}], ids=str)
def test_a_step_that_is_cut_off_takes_its_arrays_with_it(
    hall: Hall, limit: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker would wait for a step that may never end, to ask for the state before it."""

    class Gone(Held):
        """A state whose process is in the middle of a step: no answer would come."""

        def _ask(self, *_: object) -> Any:
            raise AssertionError("asked in the middle of a step")

        bulk_bytes = progress = metrics = stored = _ask

    class First(Gone):
        def bulk_bytes(self) -> int:
            return 1000

    def hangs(*_: object) -> Any:
        yield First()
        while True:
            hall.clock.sleep(0.1)
            yield BUSY

    monkeypatch.setattr("outlast.worker.slices.isolation.parent.isolated", hangs)
    seconds = limit.pop("seconds", None)
    hall.submit(kernel="field", steps=12, **limit)
    timing = Timing()
    timing.saw_reading(1.0, 100_000_000)  # Else the first state is saved at once.
    hall.work(hall.process(isolate=True, timing=timing), seconds=seconds)
    assert hall.record.usage.steps == 0
    assert hall.record.status is (Status.QUEUED if seconds else Status.FAILED)


class Talkative(Field):
    """Says more between two steps than a pipe holds."""

    def progress(self, params: Params, state: State) -> float:
        """Print 200 kB."""
        for _ in range(200):
            print("x" * 1000)  # noqa: T201 - that is the point
        return super().progress(params, state)


def test_a_kernel_may_print_while_its_state_is_looked_at() -> None:
    """Kernel and worker would wait for each other for ever, deaf to a deadline and to a stop."""
    steps = isolated(Talkative(), [dumped(Params(steps=2))], Resources())
    held = next(answer for answer in steps if answer is not BUSY)
    assert held.progress() == 0.5
    steps.close()
