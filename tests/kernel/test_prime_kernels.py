"""What `nth-prime` and `prime-count` have in common, as a worker and its user see it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import BaseModel, ValidationError

from outlast.kernel import Resources, UnknownKernel
from outlast.kernel.errors import DoesNotFit
from outlast.kernel.nth_prime import NthPrime, PrimeCount, plain
from outlast.kernel.nth_prime.sieve.steps import finish

Position, X = NthPrime.Params, PrimeCount.Params
KERNELS = {Position: NthPrime(), X: PrimeCount()}


@pytest.mark.parametrize(
    "params", [Position(position=10**7), Position(position=10**12), X(x=3), X(x=10**7), X(x=10**12)]
)
def test_progress_runs_from_0_to_1(params: BaseModel) -> None:
    """Otherwise the bar jumps back, passes its end, or stands at half when the job is done."""
    kernel = KERNELS[type(params)]
    shares = [kernel.progress(params, state) for state in kernel.run(params, None, Resources())]
    assert shares == sorted(shares)
    if params != X(x=3):  # which is done in one step
        assert 0 <= shares[0] < 0.1
        assert 0.9 < shares[-1] <= 1


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        *[(Position, "position", value) for value in (0, -1, 1.5, 2.0, "abc", "7", "", True, None)],
        *[(Position, "position", value) for value in (10**22 + 1, 10**30)],
        *[(X, "x", value) for value in (-1, 2**80, 1.0, "9", None, True)],
    ],
)
def test_parameters_out_of_bounds_are_refused(
    model: type[BaseModel], name: str, value: object
) -> None:
    """Otherwise a typing mistake starts a job that never ends or fails late."""
    with pytest.raises(ValidationError, match=name):
        model(**{name: value})


def test_missing_and_unknown_parameters_are_refused() -> None:
    """Otherwise a misspelt parameter is silently ignored."""
    with pytest.raises(ValidationError, match="position"):
        Position()
    with pytest.raises(ValidationError, match="postion"):
        Position(position=1, postion=2)


@pytest.mark.parametrize(
    ("model", "name", "largest", "message"),
    [
        (Position, "position", plain.LARGEST_POSITION, "nth-prime: a position above 10,000,000"),
        (X, "x", plain.LARGEST_NUMBER, "prime-count: an x above 200,000,000"),
    ],
)
def test_a_job_beyond_the_plain_sieve_requires_the_compiler(
    monkeypatch: pytest.MonkeyPatch, model: type[BaseModel], name: str, largest: int, message: str
) -> None:
    """Otherwise such a job fails on a worker without the extra, where another one could do it."""
    monkeypatch.setattr("outlast.kernel.nth_prime.extra.find_spec", lambda _: None)
    KERNELS[model].require(model(**{name: largest}))
    with pytest.raises(UnknownKernel, match=f"^{message} needs numba"):
        KERNELS[model].require(model(**{name: largest + 1}))


SMALL = """
import sys
from outlast.kernel import Resources
from outlast.kernel.registry import load
def answer(steps):
    print(list((yield from steps).model_dump().values())[-1])
kernel = load(sys.argv[1])
for size in sys.argv[3:]:
    params = kernel.Params(**{sys.argv[2]: int(size)})
    kernel.require(params)
    kernel.prepare(params)
    list(answer(kernel.run(params, None, Resources())))
print([name for name in ("llvmlite", "numba", "numpy") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["nth-prime", "position", 1, plain.LARGEST_POSITION], ["2", "179424673"]),
        (["prime-count", "x", 1000, plain.LARGEST_NUMBER], ["168", "11078937"]),
    ],
)
def test_small_jobs_need_no_compiler(words: list[object], answers: list[str]) -> None:
    """Otherwise the shortest job waits for imports, and for compiling on a fresh machine."""
    command = [sys.executable, "-c", SMALL, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*answers, "[]"]


@pytest.mark.parametrize("params", [Position(position=10**17), X(x=10**19)])
def test_what_does_not_fit_in_the_memory_is_refused(params: BaseModel) -> None:
    """Otherwise the system kills the worker minutes later, and the next one, without a word."""
    steps = KERNELS[type(params)].run(params, None, Resources(memory_bytes=100 << 20))
    with pytest.raises(DoesNotFit, match=r"takes \d+ MiB of memory.* grants 100 MiB"):
        finish(steps)
