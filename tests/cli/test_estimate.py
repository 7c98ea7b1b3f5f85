"""outlast estimate: what a job would take, before anything runs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.fleet import Fleet
from outlast.kernel import Estimate
from outlast.kernel.registry import load
from outlast.worker.costs.forecast import lambda_sizes
from outlast.worker.costs.shared_forecast import shared_forecast
from tests.cli.process import assert_one_line

if TYPE_CHECKING:
    from tests.cli.process import Outlast, OutlastJson


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_PLATFORM", "local")
    monkeypatch.setenv("OUTLAST_THREADS", "2")


def test_sizes_stand_side_by_side(outlast_json: OutlastJson, outlast: Outlast) -> None:
    """A user would have to deploy each size to find the one to deploy."""
    answer = outlast_json("estimate", "nth-prime", "position=1e16")
    sizes = (1769, 3538, 5307, 7076, 10240)
    names = [f"lambda/{machine}/{mb}" for machine in ("arm64", "x86_64") for mb in sizes]
    workers = {worker["platform"]: worker for worker in answer["workers"]}
    assert list(workers) == ["local", *names]
    assert [workers[name]["threads"] for name in names] == [1, 2, 3, 4, 6] * 2
    times = [workers[name]["seconds"] for name in names[:5]]
    assert times == sorted(times, reverse=True)
    dollars = [workers[name]["dollars"] for name in names[:5]]
    assert dollars == sorted(dollars)  # as not all of the work can be shared
    assert workers["lambda/x86_64/1769"]["dollars"] > workers["lambda/arm64/1769"]["dollars"]
    assert not workers["local"]["is_complete"]
    table = outlast("estimate", "nth-prime", "position=1e16").out
    assert "lambda/arm64/10240" in table
    assert "prices of 2026-11-22, us-east-1, USD; free tiers are not counted" in table


def test_options_change_the_rows(outlast_json: OutlastJson, outlast: Outlast) -> None:
    """What a user has would not be among the rows, and a function too small not be marked."""
    words = ["estimate", "prime-count", "x=7e19", "--timeout-seconds", "60"]
    words += ["--memory-mb", "512", "--memory-mb", "3538"]
    words += ["--also", "runpod/4090=8", "--also", "mine=2", "--core-factor", "2"]
    answer = outlast_json(*words)
    workers = {worker["platform"]: worker for worker in answer["workers"]}
    assert workers["lambda/arm64/512"] == {
        "platform": "lambda/arm64/512",
        "threads": 1,
        "obstacle": "does not fit",
    }
    assert workers["lambda/arm64/3538"]["slices"] > 5
    assert workers["runpod/4090"]["is_complete"]
    assert not workers["mine"]["is_complete"]
    assert answer["factor"] == 2.0
    table = outlast(*words).out
    assert "does not fit" in table
    assert re.search(r"\nlocal .* no price\n(.*\n)+mine .* over \$0\.\d+\n", table)
    assert "\nno price is set for local, mine: outlast cost --help tells how to set one\n" in table


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


def test_a_kernel_without_a_model_or_a_calibration_job_is_refused(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures would be made up."""
    message = "kernel 'tally' has no cost model: run a small job"
    assert_one_line(outlast("estimate", "tally", "steps=3"), 1, message)
    monkeypatch.setattr(load("tally"), "estimate", lambda _: Estimate(1.0, 0.0, 0.0, 0, 0))
    message = "has no calibration job: leave out --calibrate"
    assert_one_line(outlast("estimate", "tally", "steps=3", "--calibrate"), 1, message)


def test_numbers_of_workers_stand_side_by_side(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person would learn from the bill what a hundred workers cost, and what they bring."""
    words = ("estimate", "flock", "steps=36000", "step_seconds=1.0", "--parallel", "1,10,100,1000")
    answer = outlast_json(*words)
    rows = {row["platform"]: row["shared"] for row in answer["workers"]}
    assert list(rows) == ["local", "lambda/arm64/1769", "lambda/x86_64/1769"]
    one, ten, hundred, thousand = rows["lambda/arm64/1769"]
    assert [each["parallel"] for each in rows["local"]] == [1, 10, 100, 1000]
    assert one["seconds"] > 36_000
    # A tenth of it is one worker's, however many there are.
    assert 3600 + 3240 < ten["seconds"] < 1.1 * (3600 + 3240)
    assert 3600 < thousand["seconds"] < hundred["seconds"] < ten["seconds"]
    assert one["dollars"] < ten["dollars"] < hundred["dollars"] < thousand["dollars"]
    table = outlast(*words).out
    assert "10:00:00 h of a reference core, 1:00:00 h of it by one worker alone; " in table
    assert re.search(r"WORKER +THREADS +1 WORKER +10 WORKERS +100 WORKERS +1,000 WORKERS\n", table)
    assert re.search(r"lambda/arm64/1769 +1 +10:\S+ h +1:5\S+ h .*\n( +\$\d\.\d+){4}\n", table)


def test_columns_of_many_workers_stay_apart(outlast: Outlast) -> None:
    """A person would read one number where two stand, or take one for that of another column."""
    words = ("estimate", "flock", "steps=999999999999", "step_seconds=1.0")
    table = outlast(*words, "--parallel", "1,10,1000,10000,30000").out.split("\n\n")[1]
    heading, *lines = table.splitlines()
    names = ["1 WORKER", "10 WORKERS", "1,000 WORKERS", "10,000 WORKERS", "30,000 WORKERS"]
    assert re.split(" {2,}", heading)[1:] == ["THREADS", *names]
    ends = [heading.index(name) + len(name) for name in names]
    for line in lines:
        cells = list(re.finditer(r"\S+( \S+)*", line))[-len(names) :]
        assert [cell.end() for cell in cells] == ends, line
    assert re.search(r"\$\d+,\d{3},\d{3}\.", table), "dollars wider than the heading"


def test_a_job_that_is_not_divided_costs_no_less_than_nothing(
    outlast_json: OutlastJson, outlast: Outlast
) -> None:
    """Dollars below zero would be for requests that a bill had taken back.

    By hand: one slice calls the one part, which is empty, one runs that, and one does the work. A
    part is claimed and released, each of the others is announced, too; the job is marked as open
    and created.
    """
    words = ("estimate", "nth-prime", "position=1e6", "--parallel", "10,10000")
    answer = outlast_json(*words)
    for shared in (one for row in answer["workers"] for one in row["shared"]):
        assert (shared["parts"], shared["slices"], shared["writes"]) == (1, 3, 9)
        assert all(item["amount"] > 0 <= (item["dollars"] or 0) for item in shared["items"])
    assert "$-" not in outlast(*words).out


def test_the_ramp_of_lambda_is_in_the_time() -> None:
    """A job of a minute would seem to end a thousand times sooner on a thousand functions."""
    need = Estimate(1000.0, 0.0, 0.0, 0, 0)
    size = lambda_sizes([1769], timeout_seconds=900, core_factor=1.0)[0]
    size = replace(size, slice_overhead_seconds=0.01)
    there = replace(size, platform="container")
    times = [
        shared_forecast(need, each, Fleet.of(100, 10.0), store="s3")[1] for each in (size, there)
    ]
    # 5 at first and 5 more a second: it is 19 s until a hundred are there.
    assert 19 < times[0] < 20
    assert 10 < times[1] < 11


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("flock", "steps=9", "--parallel", "1,x"), "write numbers of workers, like 1,10,100,1000"),
        (("flock", "steps=9", "--parallel", "0"), "0 workers for a job"),
        (("lucas-lehmer", "exponent=127", "--parallel", "2"), "'lucas-lehmer' cannot be divided"),
        (("flock", "steps=9", "--part-seconds", "2"), "without a number of workers"),
    ],
)
def test_workers_that_cannot_share_the_job(
    words: tuple[str, ...], message: str, outlast: Outlast
) -> None:
    """The figures would be made up, or a traceback hide the slip."""
    assert_one_line(outlast("estimate", *words), 2, message)
