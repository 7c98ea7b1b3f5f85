"""outlast cost: the bills of jobs that have run."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING

from outlast.checkpoint.record_parts import PlatformUsage
from tests.records import changed

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson


def run_on(client: Client, job_id: str, **usage: float) -> Record:
    """Store a job whose one slice took that many seconds on each platform; "_" stands for "/"."""
    platforms = {
        name.replace("_", "/"): PlatformUsage(slices=1, seconds=seconds)
        for name, seconds in usage.items()
    }
    client.create("tally", {"steps": 9}, job_id=job_id)
    return client.jobs.change(job_id, lambda record: changed(record, platforms=platforms)).record


def test_a_job_that_has_run_has_a_bill(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A user would not know what a job took without adding it up from the logs."""
    outlast("run", "tally", "steps=3", "--job-id", "a")
    bill = outlast_json("cost", "a")
    (job,) = bill["jobs"]
    assert (job["job_id"], job["status"], job["slices"]) == ("a", "succeeded", 1)
    assert job["occupied_seconds"] >= job["compute_seconds"] >= 0
    assert job["writes"] == 4
    assert [item["what"] for item in job["items"]][1:] == [
        "sqlite store writes",
        "sqlite store reads",
        "sqlite queue requests",
    ]
    assert (job["dollars"], job["is_complete"]) == (0, False)
    assert {name: bill["total"][name] for name in ("slices", "writes", "items")} == {
        name: job[name] for name in ("slices", "writes", "items")
    }
    assert bill["prices"] == {
        "date": "2026-11-22",
        "region": "us-east-1",
        "currency": "USD",
        "replaced_by": None,
    }


def test_a_job_that_is_named_twice_is_billed_once(
    client: Client, outlast_json: OutlastJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of ids with a repetition, or two lists in one pipe, would double the bill."""
    run_on(client, "a", local=100.0)
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n"))
    bill = outlast_json("cost", "a", "-")
    assert [job["job_id"] for job in bill["jobs"]] == ["a"]
    assert bill["total"]["occupied_seconds"] == 100.0


def test_a_job_that_is_not_there_leaves_no_half_bill(client: Client, outlast: Outlast) -> None:
    """Rows without a total would be taken for the whole."""
    run_on(client, "a", local=100.0)
    ended = outlast("cost", "a", "b")
    assert (ended.code, ended.out) == (1, "")
    assert "there is no job 'b'" in ended.err


def test_what_has_no_price_is_shown(client: Client, outlast: Outlast) -> None:
    """A platform that the table does not know would look free."""
    run_on(client, "a", lambda_arm64_1769=1000.0, runpod=10.0)
    out = outlast("cost", "a").out
    assert next(line for line in out.splitlines() if line[:2] == "a ").endswith("over $0.023034")
    assert [re.sub(" +", " ", line) for line in out.splitlines() if "runpod" in line] == [
        " runpod 10.00 s no price",
        "no price is set for runpod: outlast cost --help tells how to set one",
    ]
    run_on(client, "b", container=10.0)
    assert re.search(r"\nb .* no price\ntotal .* no price\n", outlast("cost", "b").out)


def test_own_prices_are_used_and_named(
    client: Client, outlast: Outlast, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would pay other prices than the bill says, and not see whose they are."""
    own = folder / "prices.toml"
    own.write_text('[second]\nrunpod = 0.001\n"container" = 0\n')
    monkeypatch.setenv("OUTLAST_PRICES", str(own))
    run_on(client, "a", runpod=10.0, container=10.0)
    out = outlast("cost", "a").out
    assert "$0.010000" in out
    assert "no price" not in out
    assert f"with {own} over them" in out
    own.write_text("second = 1")
    ended = outlast("cost", "a")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"outlast: OUTLAST_PRICES={str(own)!r}: second: ")


def test_all_jobs_are_summed_whatever_is_broken(
    client: Client, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """One damaged record would hide what all the others cost."""
    assert outlast_json("cost", "--all")["jobs"] == []
    for job_id in ("a", "b"):
        run_on(client, job_id, local=5.0)
    bill = outlast_json("cost", "--all")
    assert [job["job_id"] for job in bill["jobs"]] == ["a", "b"]
    assert bill["total"]["occupied_seconds"] == 10.0
    from outlast.checkpoint.registers import open_register

    open_register(os.environ["OUTLAST_STORE"]).write("jobs/ab", b"no record", expected=None)
    ended = outlast("cost", "--all")
    assert ended.code == 1
    assert "job ab" in ended.err
    assert "\nb " in ended.out


def test_filters_choose_from_all(
    client: Client, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """What last night's jobs cost would have to be picked out of the bill of all."""
    client.create("tally", {"steps": 9}, job_id="a", tags=["nightly"])
    client.create("tally", {"steps": 9}, job_id="b")
    bill = outlast_json("cost", "--all", "--tag", "nightly", "--status", "queued")
    assert [job["job_id"] for job in bill["jobs"]] == ["a"]
    assert outlast_json("cost", "--all", "--status", "failed")["jobs"] == []
    assert outlast("cost", "--all", "--status", "failed").out.startswith("no job fits\nprices of ")
