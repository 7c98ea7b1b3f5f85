"""A job that is divided among workers, as people submit it and look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.process import assert_one_line

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson

FLOCK = ("submit", "flock", "steps=400", "--job-id", "a")
TOTAL = {"total": 400 * 399 // 2}
IDLE = ("worker", "--max-idle-seconds", "0.1")


def test_a_job_for_many_workers_has_the_result_of_one(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A person could not have a job done by more than one worker, or would get a wrong answer."""
    job = outlast_json(*FLOCK, "--parallel", "3")
    assert (job["parallel"], job["parts"]) == (3, {
        "all": 0, "succeeded": 0, "running": 0, "waiting": 0, "failed": 0,
    })  # fmt: skip
    assert outlast(*IDLE).code == 0
    assert client.result("a") == TOTAL
    assert outlast_json("status", "a")["slices"] > 30


def test_part_seconds_decide_how_many_parts_there_are(
    outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """Whoever pays for each request could not have fewer parts, nor a hasty person shorter ones."""
    line = ("submit", "flock", "steps=400", "step_seconds=0.001", "--parallel", "1")
    for part_seconds, job_id in ((0.1, "few"), (0.01, "many")):
        outlast(*line, "--part-seconds", str(part_seconds), "--job-id", job_id)
    outlast("worker", "--max-slices", "2")
    few, many = (outlast_json("status", job_id)["parts"]["all"] for job_id in ("few", "many"))
    assert 4 <= few < many


WRONG = {
    "whole": (("tally", "steps=1", "--parallel", "2"), "kernel 'tally' cannot be divided"),
    "nobody": (("flock", "steps=1", "--parallel", "0"), "--parallel"),
    "a crowd": (("flock", "steps=1", "--parallel", "50001"), "50,001 workers for a job: give 1 to"),
    "alone": (("flock", "steps=1", "--part-seconds", "9"), "without a number of workers"),
    "no time": (
        ("flock", "steps=1", "--parallel", "2", "--part-seconds", "0"),
        "--part-seconds",
    ),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_a_job_that_cannot_be_divided_so(
    words: tuple[str, ...], message: str, outlast: Outlast, client: Client
) -> None:
    """A person would wait for workers that cannot help, or search a traceback for their slip."""
    assert_one_line(outlast("submit", *words), 2, message)
    assert list(client.jobs.ids()) == []


def test_the_kernels_tell_which_can_be_divided(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person would have to try each kernel with --parallel."""
    divisible = {kernel["name"]: kernel["divisible"] for kernel in outlast_json("kernels")}
    assert (divisible["flock"], divisible["tally"]) == (True, False)
    assert "(can be divided: --parallel)" in outlast("kernels").out
