"""outlast estimate: what a job would take, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.kernel import Estimate
from outlast.kernel.registry import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.process import Ended

    Outlast = Callable[..., Ended]
    OutlastJson = Callable[..., Any]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_PLATFORM", "local")
    monkeypatch.setenv("OUTLAST_THREADS", "2")


def test_sizes_stand_side_by_side(outlast_json: OutlastJson, outlast: Outlast) -> None:
    """A user would have to deploy each size to find the one to deploy."""
    found = outlast_json("estimate", "nth-prime", "position=1e16")
    sizes = (1769, 3538, 5307, 7076, 10240)
    names = [f"lambda/{machine}/{mb}" for machine in ("arm64", "x86_64") for mb in sizes]
    workers = {worker["platform"]: worker for worker in found["workers"]}
    assert list(workers) == ["local", *names]
    assert [workers[name]["threads"] for name in names] == [1, 2, 3, 4, 6] * 2
    times = [workers[name]["seconds"] for name in names[:5]]
    assert times == sorted(times, reverse=True)
    dollars = [workers[name]["dollars"] for name in names[:5]]
    assert dollars == sorted(dollars)  # as not all of the work can be shared
    assert workers["lambda/x86_64/1769"]["dollars"] > workers["lambda/arm64/1769"]["dollars"]
    assert workers["local"]["dollars"] == 0
    table = outlast("estimate", "nth-prime", "position=1e16").out
    assert "lambda/arm64/10240" in table
    assert "prices of 2026-11-22, us-east-1, USD; free tiers are not counted" in table


def test_options_change_the_rows(outlast_json: OutlastJson, outlast: Outlast) -> None:
    """What a user has would not be among the rows, and a function too small not be marked."""
    words = ["estimate", "prime-count", "x=7e19", "--timeout-seconds", "60"]
    words += ["--memory-mb", "512", "--memory-mb", "3538"]
    words += ["--also", "runpod/4090=8", "--also", "mine=2", "--core-factor", "2"]
    found = outlast_json(*words)
    workers = {worker["platform"]: worker for worker in found["workers"]}
    assert workers["lambda/arm64/512"] == {
        "platform": "lambda/arm64/512",
        "threads": 1,
        "obstacle": "does not fit",
    }
    assert workers["lambda/arm64/3538"]["slices"] > 10
    assert workers["runpod/4090"]["is_complete"]
    assert not workers["mine"]["is_complete"]
    assert found["factor"] == 2.0
    table = outlast(*words).out
    assert "does not fit" in table
    assert "not in the price table: mine\n" in table


def test_the_machine_can_be_measured(
    outlast_json: OutlastJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An estimate would be for another machine than the user's, or Lambda's be told from theirs."""
    tally = load("tally")
    params = tally.Params(steps=3)
    model = Estimate(1e-9, 0.0, 0.0, 0, 0)  # a core far faster than any
    monkeypatch.setattr(tally, "estimate", lambda _: model)
    monkeypatch.setattr(tally, "calibration", lambda: params)
    plain = outlast_json("estimate", "tally", "steps=3", "--memory-mb", "1769")
    measured = outlast_json("estimate", "tally", "steps=3", "--memory-mb", "1769", "--calibrate")
    assert (plain["factor"], measured["factor"] > 1) == (1.0, True)
    assert measured["workers"][0]["seconds"] > plain["workers"][0]["seconds"]
    assert measured["workers"][1] == plain["workers"][1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("tally", "steps=3"), 1, "kernel 'tally' has no cost model: run a small job"),
        (("nth-prime", "position=5", "--calibrate", "--core-factor", "0"), 2, "core-factor"),
        (("nth-prime", "position=0"), 2, "nth-prime: position='0'"),
        (("nobody", "x=1"), 2, "unknown kernel 'nobody'"),
        (("nth-prime", "position=5", "--also", "runpod"), 2, "write PLATFORM=CORES"),
        (("nth-prime", "position=5", "--also", "a\nb=2"), 2, "write PLATFORM=CORES"),
        (("nth-prime", "position=5", "--memory-mb", "64"), 2, "128"),
        (("nth-prime", "position=5", "--timeout-seconds", "901"), 2, "900"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    outlast: Outlast, words: tuple[str, ...], code: int, told: str
) -> None:
    """A user would be shown a traceback, or figures for another job than they meant."""
    ended = outlast("estimate", *words)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_a_kernel_without_a_calibration_job_cannot_be_measured(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The factor would be made up."""
    monkeypatch.setattr(load("tally"), "estimate", lambda _: Estimate(1.0, 0.0, 0.0, 0, 0))
    ended = outlast("estimate", "tally", "steps=3", "--calibrate")
    assert (ended.code, ended.out) == (1, "")
    assert "has no calibration job: leave out --calibrate" in ended.err
