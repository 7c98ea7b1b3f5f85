"""The kernel `train-text`: one training, wherever it is stopped."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from outlast import NonRetryable, Resources, UnknownKernel
from outlast.testing import assert_resumable

from train_text import TrainText, kernel
from train_text.models import TrainParams, TrainResult, TrainState
from train_text.schedule import learning_rate
from train_text.text import ALPHABET, make_text

KERNEL = TrainText()
HAS_GPU = torch.cuda.is_available()
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not HAS_GPU, reason="no GPU"))]


def small(**changes: object) -> TrainParams:
    """Return the parameters of a training that takes a moment: three epochs in 14 steps."""
    few = {"steps": 14, "characters": 700, "batch": 4, "warm_up": 4}
    return TrainParams.model_validate(few | changes)


def train(params: TrainParams) -> tuple[list[TrainState], TrainResult]:
    """Return the states of a whole run, all with the arrays of the last, and its result."""
    states: list[TrainState] = []
    steps = KERNEL.run(params, None, Resources())
    while True:
        try:
            states.append(next(steps))
        except StopIteration as end:
            result: TrainResult = end.value
            return states, result


@pytest.mark.parametrize("device", DEVICES)
def test_it_can_be_stopped_anywhere(device: str) -> None:
    """The weights would depend on when workers died."""
    # Where torch has CUDA it asks for the GPU also when the CPU computes, and then no fork can.
    result = assert_resumable(KERNEL, small(device=device), forks=not HAS_GPU)
    assert all(result.losses > 0)


def test_it_can_be_stopped_with_two_threads() -> None:
    """The weights of a training on several cores would depend on when workers died."""
    # Threads of OpenMP do not survive a fork; on busy cores they wait long for each other.
    params = small(threads=2)
    assert_resumable(KERNEL, params, interruptions=4, longest_step_seconds=None, forks=False)


def test_a_state_has_all_that_is_random_and_the_place_in_the_text() -> None:
    """Dropout and the order of the text would begin anew with each slice."""
    states, _ = train(small())
    assert [(s.epoch, s.position) for s in states[:6]] == [
        (0, 4), (0, 8), (0, 12), (0, 16), (0, 20), (1, 4),
    ]  # fmt: skip
    assert len({s.cpu_random.tobytes() for s in states}) == len(states)


def test_it_learns() -> None:
    """It would be an example of how to train nothing."""
    params = TrainParams(steps=150, warm_up=20)
    states, result = train(params)
    assert states[0].loss > 3  # Of 29 characters, all as likely, it would be 3.4.
    assert KERNEL.metrics(params, states[-1])["loss"] == result.loss < 2


def test_the_process_is_given_back_as_it_was() -> None:
    """The kernel that runs next in the worker would have other threads, or other numbers."""

    def settings() -> tuple[int, bool, bytes]:
        seen = torch.get_rng_state().numpy().tobytes()
        return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), seen

    before = settings()
    steps = KERNEL.run(small(threads=before[0] + 1), None, Resources())
    next(steps)
    assert torch.get_num_threads() == before[0] + 1
    steps.close()
    assert settings() == before


def test_the_rate_rises_and_falls() -> None:
    """A training would end at a rate at which it jumps about."""
    params = TrainParams(steps=100, warm_up=10, rate=0.01)
    rates = [learning_rate(params, step) for step in range(100)]
    assert rates.index(max(rates)) == 9
    assert max(rates) == 0.01
    assert rates[0] == pytest.approx(0.001)
    assert rates[-1] < 0.00001


def test_the_text_is_the_same_for_a_seed() -> None:
    """Each worker would train on another text."""
    text = make_text(1, 1_000)
    assert len(text) == 1_000
    assert set(text) <= set(ALPHABET)
    assert text == make_text(1, 1_000) != make_text(2, 1_000)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"width": 30}, "heads"), ({"characters": 100}, "batch"), ({"steps": 0}, "steps")],
)
def test_parameters_that_do_not_fit_are_refused(wrong: dict[str, object], word: str) -> None:
    """A typing mistake would fail on a worker, minutes later."""
    with pytest.raises(ValueError, match=word):
        small(**wrong)


def test_a_loss_that_is_not_finite_ends_the_job() -> None:
    """A training that has left all bounds would go on for its whole time."""
    states, result = train(small())
    lost = {name: array * math.nan for name, array in result.weights.items()}
    state = states[-1].model_copy(update={"weights": lost, "step": 5})
    with pytest.raises(NonRetryable, match="the loss is nan at step 6: lower the rate"):
        next(KERNEL.run(small(), state, Resources()))


def test_a_worker_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A job would fail on a worker that cannot do it, in place of waiting for one that can."""
    monkeypatch.setattr(kernel, "GPU_FILES", (tmp_path / "none",))
    KERNEL.require(small())
    with pytest.raises(UnknownKernel, match="needs an NVIDIA GPU"):
        KERNEL.require(small(device="cuda"))
    monkeypatch.setattr(kernel, "GPU_FILES", (tmp_path,))
    KERNEL.require(small(device="cuda"))
    monkeypatch.setattr(kernel, "find_spec", lambda _: None)
    with pytest.raises(UnknownKernel, match=r"pip install 'train-text\[torch\]'"):
        KERNEL.require(small())
