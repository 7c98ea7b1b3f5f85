"""The commands that look at jobs, or change them by hand."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.job_heads import HEADS_AT_ONCE
from outlast.checkpoint.job_store import JobStore
from tests.cli.process import assert_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson
    from tests.servers import Server


def test_submit_prints_the_id_and_nothing_else(outlast: Outlast, client: Client) -> None:
    """`id=$(outlast submit ...)` would not hold an id."""
    ended = outlast("submit", "tally", "steps=3")
    assert (ended.code, ended.err) == (0, "")
    assert client.status(ended.out.removesuffix("\n")).params["steps"] == 3


def test_submit_again_sends_no_second_message_once_the_job_runs(
    outlast_json: OutlastJson, outlast: Outlast, client: Client
) -> None:
    """A retried submission would run the job twice."""
    for _ in range(2):
        job = outlast_json("submit", "tally", "steps=3", "--job-id", "a")
    assert (job["job_id"], job["status"], job["progress"]) == ("a", "queued", 0.0)
    assert outlast("worker", "--max-idle-seconds", "0.1").err.count("ended") == 1
    assert client.status("a").usage.slices_begun == 1
    outlast_json("submit", "tally", "steps=3", "--job-id", "a")
    assert client.queue.receive(visibility_seconds=1, wait_seconds=0) is None


def test_a_queue_that_nobody_else_sees_is_reported(
    outlast: Outlast, valkey_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs in a shared store would wait for workers that are never woken."""
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/9")
    ended = outlast("submit", "tally", "steps=1")
    assert ended.code == 0
    assert ended.err.endswith("find its jobs by their sweep only; set OUTLAST_QUEUE\n")


def test_a_result_that_is_not_there_yet_has_its_own_code(outlast: Outlast, client: Client) -> None:
    """A script could not tell "not yet" from "never"."""
    client.create("tally", {"steps": 3}, job_id="a")
    for words in (("result", "a"), ("result", "a", "--json")):
        assert outlast(*words) == (3, "", "outlast: job a is queued, 0.0% done\n")


def test_wait_gives_up_in_time(outlast: Outlast, client: Client) -> None:
    """A script would hang on a job that nobody works on."""
    client.create("tally", {"steps": 3}, job_id="a")
    ended = outlast("wait", "a", "--timeout-seconds", "0.05", "--json")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.splitlines() == [
        "outlast: job a is queued, 0.0% done",
        "outlast: gave up after 0.05 s: job a is queued, 0.0% done",
    ]


def test_result_and_wait_print_the_result_as_json(
    outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """A program would have to parse text."""
    outlast("run", "nth-prime", "position=1", "--job-id", "a")
    assert outlast_json("result", "a") == {"position": 1, "prime": 2}
    assert outlast_json("wait", "a") == {"position": 1, "prime": 2}


def test_wait_takes_several_jobs(outlast: Outlast, client: Client) -> None:
    """A script would wait for one after the other, and stop at the first that failed."""
    for job_id, steps in (("a", 1), ("b", 2)):
        outlast("run", "tally", f"steps={steps}", "--job-id", job_id)
    client.create("tally", {"steps": 3}, job_id="bad")
    client.jobs.change("bad", lambda record: record.failed("the disk was full"))
    assert outlast("wait", "b", "a") == (0, "b  total=2\na  total=1\n", "")
    why = "outlast: job bad failed: the disk was full; outlast retry bad lets it go on\n"
    assert outlast("wait", "a", "bad", "b") == (1, "a  total=1\nb  total=2\n", why)
    missing = outlast("wait", "a", "nosuch", "b")
    assert (missing.code, missing.out) == (1, "a  total=1\nb  total=2\n")
    assert missing.err.count("\n") == 1
    assert "nosuch" in missing.err
    ended = outlast("wait", "bad", "a", "--json")
    assert (ended.code, ended.err) == (1, why)
    assert json.loads(ended.out) == [
        {"job_id": "bad", "status": "failed", "result": None, "error": "the disk was full"},
        {"job_id": "a", "status": "succeeded", "result": {"total": 1}, "error": None},
    ]


def test_wait_prints_what_is_over_before_it_gives_up(outlast: Outlast, client: Client) -> None:
    """One job that nobody works on would keep the results of all others."""
    client.create("tally", {"steps": 3}, job_id="a")
    outlast("run", "tally", "steps=1", "--job-id", "b")
    ended = outlast("wait", "a", "b", "--timeout-seconds", "0.05")
    assert (ended.code, ended.out) == (3, "b  total=1\n")
    ended = outlast("wait", "a", "b", "--timeout-seconds", "0.05", "--json")
    assert ended.code == 3
    assert [view["job_id"] for view in json.loads(ended.out)] == ["b"]


def test_wait_reads_ids_from_standard_input(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`outlast list … | outlast wait -` would wait for a job of that name."""
    outlast("run", "tally", "steps=1", "--job-id", "a")
    monkeypatch.setattr("sys.stdin", io.StringIO('"a"\n'))
    assert outlast("wait", "-") == (0, "a  total=1\n", "")


def test_a_paused_job_waits_until_it_is_resumed(outlast: Outlast) -> None:
    """A worker would go on with what a person has stopped, or never with what they let go on."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    assert outlast("pause", "a") == (0, "job a is paused\n", "")
    outlast("worker", "--max-idle-seconds", "0.01")
    assert outlast("result", "a").code == 3
    assert outlast("resume", "a").code == 0
    outlast("worker", "--max-slices", "1")
    assert outlast("result", "a").code == 0
    for command in ("cancel", "pause", "resume", "retry"):
        assert_one_line(outlast(command, "a"), 1, "job a has succeeded: it cannot be ")


def test_a_failed_job_goes_on_when_retried(outlast: Outlast, client: Client) -> None:
    """Hours of work would be lost to a fault that has been mended since."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    client.jobs.change("a", lambda record: record.failed("the disk was full"))
    assert outlast("retry", "a") == (0, "job a goes on\n", "")
    outlast("worker", "--max-slices", "1")
    assert outlast("result", "a").code == 0


def test_a_job_at_its_ceiling_goes_on_with_a_higher_one(outlast: Outlast, client: Client) -> None:
    """A job of days that reached its budget would have to be copied under another id."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    client.jobs.change("a", lambda record: record.retried(max_compute_seconds=1.0))
    client.jobs.change("a", lambda record: record.spent(steps=1, seconds=2.0).failed("ceiling"))
    ended = outlast("retry", "a")
    assert (ended.code, ended.out) == (1, "")
    assert "reached its ceiling of 1 compute seconds (max_compute_seconds): retry it" in ended.err
    assert outlast("retry", "a", "--max-compute-seconds", "60").code == 0
    outlast("worker", "--max-slices", "1")
    assert outlast("result", "a").code == 0


def test_a_list_that_ends_early_is_still_json(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program could not read even the jobs that were found before the store went away."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")

    def ids(_: JobStore, **__: str) -> Iterator[str]:
        yield from ["a"] * HEADS_AT_ONCE
        raise StoreUnavailable("away")

    monkeypatch.setattr(JobStore, "ids", ids)
    ended = outlast("list", "--limit", "0", "--json")
    assert (ended.code, ended.err) == (1, "outlast: away\n")
    assert {job["job_id"] for job in json.loads(ended.out)} == {"a"}


def test_kernels_tell_their_parameters(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person would have to read the source of a kernel to use it."""
    shown = outlast("kernels").out
    assert (
        "\n    position=...  integer from 1 to 10,000,000,000,000,000,000,000 - which prime"
        in shown
    )
    assert "\ntally  Counts, one step after the other.\n    steps=...  integer from 1" in shown
    assert "(default: 0.0)" in shown
    kernels = {kernel["name"]: kernel for kernel in outlast_json("kernels")}
    assert kernels["tally"]["params"]["required"] == ["steps"]


def test_commands_that_load_no_kernel_look_for_no_plugins() -> None:
    """A look at a job would take longer the more packages there are; or a kernel lack one."""
    code = (
        "import os\n"
        "from outlast.worker.cli import app\n"
        "app.main = lambda: print(os.environ.get('PYDANTIC_DISABLE_PLUGINS'))\n"
        "app.program()"
    )
    env = {name: value for name, value in os.environ.items() if "PYDANTIC" not in name}
    for command, expected in (("status", "__all__\n"), ("dlq", "__all__\n"), ("run", "None\n")):
        ran = subprocess.run(
            [sys.executable, "-c", code, command],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == expected


def test_only_the_kernels_that_are_named_are_listed(
    outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """A person would look for the parameters of one among those of all."""
    shown = outlast("kernels", "tally", "nth-prime", "tally").out
    assert [line.split()[0] for line in shown.splitlines() if line[0] != " "] == [
        "tally",
        "nth-prime",
    ]
    assert [kernel["name"] for kernel in outlast_json("kernels", "tally")] == ["tally"]
    assert_one_line(outlast("kernels", "tally", "no-such"), 2, "unknown kernel 'no-such'; install")
    for command in ("run", "submit"):
        assert "`outlast kernels nth-prime` lists" in outlast(command, "--help").out
