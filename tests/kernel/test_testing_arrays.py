"""`assert_resumable` with arrays and blobs, which a kernel may change in place."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from outlast import Array, Blob, Kernel, Model, Resources
from outlast.testing import assert_resumable

if TYPE_CHECKING:
    from collections.abc import Generator

# As messages show them.
PARAMS = r"\{\"steps\":12,\"data\":float64\[2,3\]\}"
WEIGHTS = r"\{\"w\":float64\[2,3\],\"b\":float32\[3\]\}"
STATE = rf"\{{\"step\":\d,\"weights\":{WEIGHTS},\"total\":float64\[\],\"rng\":bytes\[1\]\}}"

ROOT = Path(__file__).parents[2]


class Params(Model):
    """How often to go on, and with what."""

    steps: int = 12
    data: Array = np.arange(6.0).reshape(2, 3)


class State(Model):
    """Weights, their sum over all steps, a random generator's state."""

    step: int = 0
    weights: dict[str, Array]
    total: Array = np.zeros(())
    rng: Blob = b""


class Result(Model):
    """The weights in the end."""

    weights: dict[str, Array]
    rng: Blob = b""


class InPlace(Kernel[Params, State, Result]):
    """Changes the arrays of its state in place, those that it resumes from included."""

    name = "in-place"
    Params, State, Result = Params, State, Result

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        state = state or self.first(params)
        while state.step < params.steps:
            self.advance(params, state)
            state = self.next_state(state)
            yield state
        return Result(weights=state.weights, rng=state.rng)

    def first(self, params: Params) -> State:
        """Return the state before the first step."""
        weights = {"w": np.zeros((2, 3)), "b": np.zeros(3, "f4")}
        return State(weights=weights, total=np.zeros(()), rng=b"0")

    def advance(self, params: Params, state: State) -> None:
        """Change the arrays of the state."""
        w, b = state.weights["w"], state.weights["b"]
        w *= 0.5
        w += params.data * (state.step + 1) + b
        b += w.sum(axis=0).astype("f4") % 7
        state.total[...] += w.sum()

    def next_state(self, state: State) -> State:
        """Return what is to be yielded."""
        values = {"step": state.step + 1, "rng": str(int(state.rng) * 31 + state.step).encode()}
        return State(**{**vars(state), **values})

    def progress(self, params: Params, state: State) -> float:
        return state.step / params.steps


class Functional(InPlace):
    """Makes each array anew."""

    def advance(self, params: Params, state: State) -> None:
        state.weights.update({name: array.copy() for name, array in state.weights.items()})
        super().advance(params, state)

    def next_state(self, state: State) -> State:
        return super().next_state(state).model_copy(deep=True)


class Growing(InPlace):
    """Has another array after each step."""

    def next_state(self, state: State) -> State:
        more = {f"more{state.step}": np.full((state.step, 0, 2), state.step, "i2")}
        after = super().next_state(state)
        return after.model_copy(update={"weights": {**after.weights, **more}})


class Forgetful(InPlace):
    """Keeps one of its arrays in a local variable only."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        self.momentum = np.zeros((2, 3))
        return (yield from super().run(params, state, resources))

    def advance(self, params: Params, state: State) -> None:
        super().advance(params, state)
        self.momentum += state.weights["w"]
        state.weights["w"][...] += self.momentum


class Tied(InPlace):
    """Has one array under two names, which are two arrays once they have been stored."""

    def first(self, params: Params) -> State:
        both = np.zeros((2, 3))
        return State(weights={"w": both, "b": np.zeros(3, "f4"), "tied": both}, rng=b"0")

    def advance(self, params: Params, state: State) -> None:
        super().advance(params, state)
        state.weights["w"][...] += state.weights["tied"]


class Recalling(InPlace):
    """Compares with the state that it was given, whose arrays it has changed meanwhile."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        self.given = state
        return (yield from super().run(params, state, resources))

    def advance(self, params: Params, state: State) -> None:
        super().advance(params, state)
        if self.given:
            state.weights["w"][...] += self.given.total


class Greedy(InPlace):
    """Works in the array of its parameters."""

    def first(self, params: Params) -> State:
        return super().first(params).model_copy(update={"weights": {"w": params.data}})

    def advance(self, params: Params, state: State) -> None:
        state.weights["w"][...] += 1


class Hoarding(InPlace):
    """Keeps its weights in the class, and begins with zeros in another process."""

    kept: ClassVar[dict[int, dict[str, np.ndarray]]] = {}

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        zeros = super().first(params).weights
        for step in range(state.step if state else 0, params.steps):
            weights = {name: array + 1 for name, array in self.kept.get(step, zeros).items()}
            self.kept[step + 1] = weights
            yield State(step=step + 1, weights={})
        return Result(weights=self.kept[params.steps])


class Running(InPlace):
    """A thread of its own goes on changing the weights."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        self.over = threading.Event()
        state = state or self.first(params)
        thread = threading.Thread(target=self.go_on, args=(state,))
        thread.start()
        try:
            return (yield from super().run(params, state, resources))
        finally:
            self.over.set()
            thread.join()

    def go_on(self, state: State) -> None:
        """Change the weights again and again."""
        while not self.over.wait(0.002):
            state.weights["w"][...] += 1


class WorkingAhead(InPlace):
    """A thread takes the next step while the kernel is suspended, and writes at its end."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        state = state or self.first(params)
        while state.step < params.steps:
            thread = threading.Thread(target=self.work, args=(state,))
            thread.start()
            yield state
            thread.join()
            state = self.next_state(state)
        return Result(weights=state.weights)

    def work(self, state: State) -> None:
        """Think for some time, and write."""
        time.sleep(0.03)
        state.weights["w"][...] += 1


class Wide(InPlace):
    """Has a state of a megabyte."""

    def first(self, params: Params) -> State:
        return State(weights={"w": np.zeros(1 << 17)}, rng=b"0")

    def advance(self, params: Params, state: State) -> None:
        state.weights["w"][state.step] += 1


def whole(kernel: InPlace) -> Result:
    """Return the result of a run that nobody stops."""

    def run() -> Generator[State, None, None]:
        results.append((yield from kernel.run(Params(), None, Resources())))

    results: list[Result] = []
    for _ in run():
        pass
    return results[0]


@pytest.mark.parametrize("kernel", [InPlace(), Functional(), Growing()])
@pytest.mark.parametrize("forks", [True, False])
def test_a_sound_kernel_with_arrays_passes(kernel: InPlace, *, forks: bool) -> None:
    """An author of a training would look for a mistake where there is none."""
    result = assert_resumable(kernel, Params(), forks=forks)
    assert result == whole(kernel)
    assert result.weights["w"].any()
    result.weights["w"] += 1  # It is the caller's own.


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (Forgetful(), r"resumed from safe point 1, .*, its result has other bytes in weights.w, "),
        (Tied(), r"resumed from safe point \d, .*, its result has other bytes in weights\.w"),
        (
            Recalling(),
            r"resumed from safe point \d, .* has other bytes in weights\.w, weights\.b: ",
        ),
        (Greedy(), rf"it changes its parameters, the bytes of data in {PARAMS}: work on a copy, "),
        (Hoarding(), r"in another process its result has other bytes in weights\.w, weights\.b: "),
        (Running(), rf"changes while it is suspended, the bytes of weights\.w in {STATE}: no thr"),
        (WorkingAhead(), r"its state changes while it is suspended, the bytes of weights\.w in "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, InPlace) else "",
)
def test_an_unsound_kernel_with_arrays_fails_with_the_reason(kernel: InPlace, message: str) -> None:
    """Its jobs would end in wrong weights, or its checkpoints would be halves of two states."""
    with pytest.raises(AssertionError, match=message) as failure:
        assert_resumable(kernel, Params())
    assert len(str(failure.value)) < 500
    assert "\n" not in str(failure.value)


def test_only_the_sample_is_kept_in_memory() -> None:
    """A test of a kernel with many large states would run out of memory."""
    tracemalloc.start()
    try:
        assert_resumable(Wide(), Params(steps=60), interruptions=4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20  # A sample of four, the last one, and what one step needs.


def test_a_kernel_without_arrays_does_not_import_numpy() -> None:
    """A kernel could not be tested where numpy is not installed."""
    program = (
        "import sys\n"
        "sys.modules['numpy'] = None\n"  # An import of it fails.
        "from outlast.testing import assert_resumable\n"
        "from tests.kernels import Counting, Params\n"
        "assert_resumable(Counting(), Params(steps=5))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
