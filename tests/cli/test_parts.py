"""A job that is divided among workers, as people submit it and look at it."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.process import assert_one_line, until

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import AtTerminal, Outlast, OutlastJson, Start

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


@pytest.fixture
def half_done(outlast: Outlast) -> None:
    """A job of which 20 parts are done, and no worker is at work."""
    outlast(*FLOCK, "step_seconds=0.001", "--parallel", "2")
    assert outlast("worker", "--max-slices", "21").code == 0


@pytest.mark.usefixtures("half_done")
def test_a_person_sees_how_the_parts_stand(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A job of hours would stand at 0 % until its end."""
    job = outlast_json("status", "a")
    parts = job["parts"]
    assert (parts["succeeded"], parts["running"], parts["failed"]) == (20, 0, 0)
    assert parts["all"] == 20 + parts["waiting"] > 40
    assert job["steps"] == 400 * job["progress"] > 100
    assert (job["slices"], job["compute_seconds"] > 0.1) == (21, True)
    assert (
        f"parts            all={parts['all']} succeeded=20 running=0" in outlast("status", "a").out
    )
    (listed,) = outlast_json("list")
    assert listed == job
    assert f"{job['progress']:.1%}" in outlast("list").out
    assert outlast("result", "a").err == "outlast: job a is running, in parts\n"


@pytest.mark.usefixtures("half_done")
def test_the_history_has_each_part(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person could not find out where a part ran, or why it does not end."""
    slices = outlast_json("history", "a")
    assert (slices[0]["part"], slices[0]["ending"]) == (None, "sent the messages of 32 parts")
    # The first sixteen are added up.
    assert {each["part"] for each in slices[1:]} == {16, 17, 18, 19}
    assert {each["ending"] for each in slices[1:]} == {"succeeded"}
    (one,) = outlast_json("history", "a", "--part", "3")
    assert (one["part"], one["slice"], one["progress"]) == (3, 1, 1.0)
    assert "\n       17:1  20" in outlast("history", "a").out
    untouched = outlast("history", "a", "--part", "30")
    assert (untouched.code, untouched.err) == (
        0,
        "outlast: no slice of part 30 of job a has ended yet\n",
    )
    assert_one_line(outlast("history", "a", "--part", "900"), 2, "job a has parts 0 to ")


@pytest.mark.usefixtures("half_done")
def test_a_divided_job_has_no_checkpoint_to_wait_for(outlast: Outlast) -> None:
    """A person would believe that hours of work are not saved yet, or cannot be forked."""
    shown = outlast("checkpoints", "a")
    assert (shown.code, shown.err) == (
        0,
        "outlast: job a has no checkpoint: each of its parts has its own\n",
    )
    forked = outlast("fork", "a", "--generation", "1")
    assert_one_line(forked, 1, "job a has no checkpoint 1; each of its parts has its own, and a fo")
    assert outlast("fork", "a", "--job-id", "b").code == 0


def test_a_job_without_parts_has_no_part(outlast: Outlast) -> None:
    """A slip would look like a part that has not begun."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    assert_one_line(outlast("history", "a", "--part", "0"), 2, "job a is not divided")


def test_a_job_before_and_after_its_parts_has_none(outlast: Outlast, client: Client) -> None:
    """A person who asks for a part of a job that is over would be told that it had none."""
    outlast(*FLOCK, "--parallel", "2")
    part = ("history", "a", "--part", "0")
    assert_one_line(outlast(*part), 2, "job a is not cut into parts yet")
    assert outlast(*IDLE).code == 0
    assert_one_line(outlast(*part), 2, "job a has its parts added up: what each of them did is not")
    over = outlast("history", "a")
    slices = client.status("a").usage.slices_begun
    assert re.search(
        rf"its \d+ parts are added up, .* took {slices} slices: outlast cost a", over.err
    )


def test_a_job_that_is_there_says_how_it_is_shared(outlast: Outlast) -> None:
    """A person who asks for more workers would wait, and look for them."""
    assert outlast(*FLOCK, "--parallel", "2").err == ""
    told = outlast(*FLOCK, "--parallel", "3")
    assert (told.code, told.out) == (0, "a\n")
    assert "job a was there already, and is meant for 2 workers: it stays so" in told.err
    assert outlast(*FLOCK).err == ""
    outlast("submit", "flock", "steps=4", "--job-id", "b")
    told = outlast("submit", "flock", "steps=4", "--job-id", "b", "--parallel", "3")
    assert "job b was there already, and is not divided: it stays so" in told.err


@pytest.mark.usefixtures("half_done")
def test_the_bill_has_all_parts(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person would see what a job has cost when it is too late."""
    (job,) = outlast_json("cost", "a")["jobs"]
    assert (job["slices"], job["compute_seconds"] > 0.1) == (21, True)
    assert job["occupied_seconds"] > job["compute_seconds"]
    assert job["writes"] > 2 * 20
    assert outlast_json("cost", "--all")["jobs"] == [job]
    assert outlast(*IDLE).code == 0
    (over,) = outlast_json("cost", "a")["jobs"]
    assert over["compute_seconds"] > 0.4
    assert over["writes"] > job["writes"] + 2 * 20


def test_a_person_can_watch_the_parts(
    start: Start, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """The table would stand still until the job is over."""
    outlast(*FLOCK[:3], "step_seconds=0.01", *FLOCK[3:], "--parallel", "2")
    watch = start("watch", "a", "--interval", "0.1")
    watch.await_out("job a queued 0.0%, to be cut into parts")
    worker = start(*IDLE)
    watch.await_out(r"job a running \d.*%, \d+ of \d+ parts, 1 at work, .* left")
    (running,) = [each for each in outlast_json("history", "a") if each["ending"] == "runs"]
    assert running["part"] is not None
    assert outlast_json("status", "a")["parts"]["running"] == 1
    watch.await_out("job a succeeded")
    assert watch.end().code == 0
    worker.end()


def test_the_part_of_a_killed_worker_does_not_run(
    start: Start, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """A person would wait for what nobody does."""

    def endings() -> list[str]:
        return [each["ending"] for each in outlast_json("history", "a")]

    outlast(*FLOCK[:3], "step_seconds=5", *FLOCK[3:], "--parallel", "2")
    worker = start(*IDLE)
    until(lambda: "runs" in endings())
    assert re.search(r"not saved yet .* runs$", outlast("history", "a").out, re.MULTILINE)
    worker.send(signal.SIGKILL)
    worker.end()
    until(lambda: "its worker is gone" in endings())
    assert "runs" not in endings()


def test_a_terminal_shows_the_parts(terminal: AtTerminal, start: Start, outlast: Outlast) -> None:
    """A person could not see how many workers a job has, and when it will end."""
    outlast(*FLOCK[:3], "step_seconds=0.01", *FLOCK[3:], "--parallel", "2")
    at = terminal("watch", "a", "--interval", "0.1", whole=True, columns=160)
    worker = start(*IDLE)
    code, _ = at.end()
    assert code == 0
    assert re.search(r"a +running .*\d%.* \d:\d\d +\d+/\d+ .* 1 at work", at.seen)
    worker.end()


@pytest.mark.usefixtures("half_done")
def test_a_part_that_cannot_be_read_hides_no_job(outlast: Outlast, client: Client) -> None:
    """One damaged record would keep a person from seeing any job."""
    register = client.jobs._register
    key = next(key for key in register.keys("parts/") if key.endswith("/0/17"))
    register.put(key, b"x", expected=register.read(key).version)
    outlast("submit", "tally", "steps=1", "--job-id", "b")
    for line in (("list",), ("cost", "--all")):
        ended = outlast(*line)
        assert ended.code == 1
        assert "foreign" in ended.err
        assert "\na " in ended.out
        assert "\nb " in ended.out
    assert_one_line(outlast("status", "a"), 1, "foreign")


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
