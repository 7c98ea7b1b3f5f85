"""The promise in one sentence: any schedule of interruptions gives the same result as none."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.status import Status
from outlast.kernel import Resources
from outlast.kernel.nth_prime import NthPrime
from tests.kernels import Counting, Params, expected
from tests.worker.floor import STEPS, Floor, Killed

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.worker.slices.worker_process import AnyKernel

RESOURCES = Resources()

# After so many safe points the worker is gone; so many of the newest states are gone with it.
SCHEDULE = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=12)


def interrupted(kernel: AnyKernel, params: BaseModel, schedule: list[tuple[int, int]]) -> Any:
    """Return the kernel's result when it is stopped as the schedule says, and stored as JSON."""
    kept: deque[bytes] = deque(maxlen=4)
    for steps, lost in [*schedule, (10**9, 0)]:
        for _ in range(min(lost, len(kept))):
            kept.pop()
        state = kernel.State.model_validate_json(kept[-1]) if kept else None
        run = kernel.run(params, state, RESOURCES)
        try:
            for _ in range(steps):
                kept.append(next(run).model_dump_json().encode())
        except StopIteration as end:
            return end.value
        run.close()
    raise AssertionError("the kernel did not end")


@given(schedule=SCHEDULE)
@settings(deadline=None, max_examples=100)
def test_the_counting_kernel_counts_the_same(schedule: list[tuple[int, int]]) -> None:
    """All other tests of interruptions count on this kernel."""
    result = interrupted(Counting(), Params(steps=STEPS), schedule)
    assert result.model_dump() == expected(STEPS)


@pytest.mark.parametrize(("position", "prime"), [(1_000_000, 15_485_863), (200_000, 2_750_159)])
@given(schedule=SCHEDULE)
@settings(deadline=None, max_examples=15)
def test_the_sieve_finds_the_same_prime(
    position: int, prime: int, schedule: list[tuple[int, int]]
) -> None:
    """The answer would depend on how often the workers were stopped."""
    kernel = NthPrime()
    result = interrupted(kernel, kernel.Params(position=position), schedule)
    assert result.prime == prime


SLICE = st.tuples(
    st.floats(0.0, 9.0),  # its budget in seconds
    st.integers(0, 40),  # the step that kills it, if it gets there
    st.integers(0, 12),  # the write that fails, if there are so many
)


@given(slices=st.lists(SLICE, max_size=25))
@settings(deadline=None, max_examples=100)
def test_the_worker_computes_the_same(slices: list[tuple[float, int, int]]) -> None:
    """A job's result, or its account of steps, would depend on the workers' fates."""
    floor = Floor()
    floor.submit(max_stalls=1000)
    for seconds, killed_at, failing in slices:
        if floor.record.status.is_final:
            break
        _one_slice(floor, seconds, killed_at, failing)
        floor.clock.sleep(1000.0)
    floor.watched = lambda _: None
    floor.finish()
    assert floor.record.status is Status.SUCCEEDED
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.steps == STEPS
    assert floor.record.usage.compute_seconds == STEPS * floor.step_seconds


def _one_slice(floor: Floor, seconds: float | None, killed_at: int, failing: int) -> None:
    puts = count(1)

    def fail(operation: str) -> None:
        if operation == "put" and next(puts) == failing:
            raise StoreUnavailable("away")

    floor.at(killed_at, lambda: setattr(floor.register, "before", _die))
    with floor.hooked("before", fail), suppress(Killed, StoreUnavailable):
        floor.work(seconds=seconds)


def _die(_: str) -> None:
    raise Killed
