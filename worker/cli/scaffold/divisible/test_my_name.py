"""The kernel `my-name`: right answers, however stopped and shared."""

from __future__ import annotations

import pytest
from outlast.testing import assert_divisible, assert_resumable

from my_name import MyNameKernel

KERNEL = MyNameKernel()


@pytest.mark.parametrize(
    ("limit", "start", "steps"),
    [(2, 1, 0), (3, 2, 1), (10, 9, 19), (100, 97, 118)],
)
def test_known_answers_wherever_it_is_stopped(limit: int, start: int, steps: int) -> None:
    """A job's result would depend on when its workers died."""
    result = assert_resumable(KERNEL, KERNEL.Params(limit=limit))
    assert (result.start, result.steps) == (start, steps)


def test_a_known_answer_however_it_is_shared() -> None:
    """A job's result would depend on how many workers it had."""
    result = assert_divisible(KERNEL, KERNEL.Params(limit=20_000))
    assert (result.start, result.steps) == (17_647, 278)


@pytest.mark.parametrize("limit", [1, 10**12 + 1, 2.5])
def test_limits_out_of_bounds_are_refused(limit: float) -> None:
    """A typing mistake would start a job that fails late."""
    with pytest.raises(ValueError, match="limit"):
        KERNEL.Params.model_validate({"limit": limit})
