"""Commands that look at jobs take several ids, as those that steer them do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.records import lease

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson

MISSING = "outlast: there is no job 'missing' in this store: "


@pytest.fixture(autouse=True)
def _jobs(client: Client) -> None:
    """One job that has succeeded, one that has failed, one that waits."""
    for job_id in ("done", "failed", "waits"):
        client.create("tally", {"steps": 1}, job_id=job_id)
        if job_id != "waits":
            client.jobs.change(
                job_id, lambda job: job.claimed(lease(100.0)).after_slice(job, "", 0)
            )
    client.jobs.change("done", lambda job: job.succeeded({"total": 1}))
    client.jobs.change("failed", lambda job: job.failed("no luck"))


def test_status_has_a_block_for_each(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person with three jobs would type three commands, or read of the first one alone."""
    ended = outlast("status", "done", "missing", "waits")
    blocks = ended.out.split("\n\n")
    assert [block.split()[:2] for block in blocks] == [["job_id", "done"], ["job_id", "waits"]]
    assert ended.err.startswith(MISSING)
    assert ended.code == 1
    assert outlast_json("status", "done")["job_id"] == "done"
    assert [job["status"] for job in outlast_json("status", "done", "waits")] == [
        "succeeded",
        "queued",
    ]


def test_result_reports_those_without_one(outlast: Outlast, folder: Path) -> None:
    """A script would take a missing line for a result, or get none for an unfinished job."""
    ended = outlast("result", "done", "waits")
    assert (ended.code, ended.out) == (3, "done  total=1\n")
    assert ended.err.startswith("outlast: job waits is queued")
    ended = outlast("result", "failed", "waits", "done", "--json")
    assert ended.code == 1
    assert [(each["job_id"], each["result"]) for each in json.loads(ended.out)] == [
        ("failed", None),
        ("waits", None),
        ("done", {"total": 1}),
    ]
    ended = outlast("result", "done", "failed", "--out", str(folder / "out"))
    assert (ended.code, ended.out) == (1, f"{folder / 'out' / 'done'}: result.json\n")
    assert outlast("result", "done", "--out", str(folder / "one")).out.endswith(
        "one: result.json\n"
    )


def test_history_has_a_table_for_each(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person could not tell whose slices these are."""
    ended = outlast("history", "done", "missing", "failed")
    assert [line.split()[:2] for line in ended.out.splitlines() if "job" in line] == [
        ["job", "done"],
        ["job", "failed"],
    ]
    assert "\n\njob failed\n" in ended.out
    assert ended.err.count("there is no job 'missing'") == 1
    assert isinstance(outlast_json("history", "done"), list)
    assert [(job["job_id"], list(job)) for job in outlast_json("history", "done", "waits")] == [
        ("done", ["job_id", "slices"]),
        ("waits", ["job_id", "slices"]),
    ]
    assert outlast("history", "done", "waits", "--part", "1").code == 2
