"""What it costs to run a kernel in a child process: a step, and the begin and end of a slice."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from bench.table import print_table
from outlast.kernel import Kernel, Resources
from outlast.kernel.contract import Model
from outlast.worker.slices.held import Busy
from outlast.worker.slices.isolation.parent import isolated

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

STEPS = 5000
RUNS = 7
STATE_BYTES = (100, 10_000, 1_000_000)


class Params(Model):
    """How large the states are."""

    state_bytes: int


class State(Model):
    """So many bytes."""

    padding: str


class Idle(Kernel[Params, State, State]):
    """Yields for ever and does nothing in between."""

    name = "idle"
    Params = Params
    State = State
    Result = State

    def run(
        self,
        params: Params,
        state: State | None,  # noqa: ARG002 - there is no progress
        resources: Resources,  # noqa: ARG002 - it needs none
    ) -> Generator[State, None, State]:
        """Yield the same state again and again."""
        same = State(padding="x" * params.state_bytes)
        while True:
            yield same

    def progress(self, params: Params, state: State) -> float:  # noqa: ARG002 - there is none
        """Return 0."""
        return 0.0


def main() -> None:
    """Print the costs."""
    rows = []
    for size in STATE_BYTES:
        inline = statistics.median(_step_seconds(Idle().run(Params(state_bytes=size), None, R)))
        times = [_costs(size) for _ in range(RUNS)]
        begin, step, end = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append(
            (
                f"{size:,}",
                *(f"{x * 1e6:.1f}" for x in (inline, step)),
                f"{(step - inline) / 0.050:.2%}",
                *(f"{x * 1e3:.0f}" for x in (begin, end)),
            )
        )
    print_table(
        f"A kernel that does nothing, inline and in a child process: medians of {STEPS} steps, "
        f"and of {RUNS} begins and ends",
        ("state bytes", "inline µs", "isolated µs", "of a 50 ms step", "begin ms", "end ms"),
        rows,
    )


R = Resources()


def _costs(size: int) -> tuple[float, float, float]:
    """Return the seconds until the first state, for a step after it, and for the end."""
    begun = time.perf_counter()
    steps = isolated(Idle(), Params(state_bytes=size), None, R)
    states = (state for state in steps if not isinstance(state, Busy))
    next(states)
    begin = time.perf_counter() - begun
    step = statistics.median(_step_seconds(states))
    begun = time.perf_counter()
    steps.close()
    return begin, step, time.perf_counter() - begun


def _step_seconds(steps: Iterator[object]) -> list[float]:
    times = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        next(steps)
        times.append(time.perf_counter() - begun)
    return times


if __name__ == "__main__":
    main()
