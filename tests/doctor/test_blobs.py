"""The place where arrays are kept."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from outlast.checkpoint.blobs import open_blobs
from outlast.worker.doctor import sqlite_disk
from outlast.worker.doctor.environment import environment_findings
from outlast.worker.settings import Settings
from tests.doctor.between import DENIED_BY_S3, Answer, between
from tests.doctor.conftest import problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from outlast.checkpoint.blobs.contract import BlobStore
    from tests.servers import Server

STORE = "s3://bucket/jobs"
REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
def s3(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """A client of a service with one empty bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket="bucket")
        yield client


def test_a_folder_beside_the_file_is_well(run_doctor: Any, folder: Path) -> None:
    """Doctor would cry wolf, or leave behind what it has tried."""
    findings = run_doctor()
    assert problems(findings, "blobs.") == {}
    assert {"blobs.write", "blobs.read", "blobs.list", "blobs.delete"} <= set(findings)
    assert list((folder / "outlast.db.blobs").iterdir()) == []


def test_a_bucket_is_well(s3: S3Client, run_doctor: Any) -> None:
    """Doctor would cry wolf, or leave behind what it has tried."""
    findings = run_doctor(OUTLAST_STORE=STORE)
    assert problems(findings, "blobs.") == {}
    assert {"blobs.write", "blobs.read", "blobs.list", "blobs.delete"} <= set(findings)
    assert "blobs.lifecycle" in findings
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 0


def test_redis_has_no_place(run_doctor: Any) -> None:
    """A person would learn it from the first job with arrays, or take it for a fault."""
    finding = run_doctor(OUTLAST_STORE=REDIS)["blobs.place"]
    assert finding.level == "ok"
    assert "OUTLAST_BLOBS=s3://bucket/prefix" in finding.found


def test_a_place_that_is_none(run_doctor: Any) -> None:
    """A typo would be told as a disk that fails."""
    finding = run_doctor(OUTLAST_BLOBS="arrays")["blobs.reach"]
    assert (finding.level, finding.breaks) == ("error", "no job with arrays can run")
    assert "s3://bucket/prefix" in finding.mend


def test_a_folder_that_cannot_be(run_doctor: Any, folder: Path) -> None:
    """Each save of a job with arrays would fail, hours after its start."""
    (folder / "file").touch()
    finding = run_doctor(OUTLAST_BLOBS=f"{folder}/file")["blobs.reach"]
    assert finding.level == "error"
    assert "it is no folder" in finding.found


@pytest.mark.parametrize(("kind", "level"), [("ext4", "warning"), ("nfs4", "ok")])
def test_a_folder_beside_a_shared_store(
    kind: str, level: str, run_doctor: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next worker would find a job and not its arrays: every checkpoint looks damaged."""
    table = folder / "mountinfo"
    table.write_text(f"22 1 254:0 / / rw,relatime - {kind} /dev/vda rw\n")
    monkeypatch.setattr(sqlite_disk, "MOUNTS", table)
    finding = run_doctor(OUTLAST_STORE=REDIS, OUTLAST_BLOBS=f"{folder}/arrays")["blobs.place"]
    assert finding.level == level


@pytest.mark.parametrize(("kind", "level"), [("tmpfs", "warning"), ("ext4", "ok")])
def test_a_folder_on_a_disk_that_does_not_last(
    kind: str, level: str, run_doctor: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start would find every job, and none of their arrays."""
    table = folder / "mountinfo"
    table.write_text(f"22 1 254:0 / / rw,relatime - {kind} /dev/vda rw\n")
    monkeypatch.setattr(sqlite_disk, "MOUNTS", table)
    assert run_doctor(OUTLAST_BLOBS=f"{folder}/arrays")["blobs.disk"].level == level


def test_a_disk_with_little_space(run_doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of gigabytes would stop in the middle."""
    usage = type("Usage", (), {"free": 900 << 20})
    monkeypatch.setattr(sqlite_disk.shutil, "disk_usage", lambda _: usage)
    findings = run_doctor()
    assert (findings["blobs.space"].level, findings["store.space"].level) == ("warning", "ok")


GLACIER = {"Transitions": [{"Days": 90, "StorageClass": "GLACIER"}]}
RULES = {
    "a year": ({"Expiration": {"Days": 365}}, {"blobs.lifecycle": "warning"}),
    "arrays only": (
        {"Expiration": {"Days": 7}, "Filter": {"Prefix": "jobs/blobs/"}},
        {"blobs.lifecycle": "error"},
    ),
    "a day in the calendar": (
        {"Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)}},
        {"blobs.lifecycle": "error", "store.lifecycle": "error"},
    ),
    "out of reach": (GLACIER, {"blobs.lifecycle": "error", "store.lifecycle": "error"}),
    "jobs only": ({"Expiration": {"Days": 365}, "Filter": {"Prefix": "jobs/jobs/"}}, {}),
}


@pytest.mark.parametrize(("rule", "expected"), RULES.values(), ids=RULES)
def test_a_rule_that_deletes_arrays(
    rule: dict[str, Any], expected: dict[str, str], s3: S3Client, run_doctor: Any
) -> None:
    """What does not change is not written again: it would vanish under a job at work."""
    whole: Any = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}} | rule
    s3.put_bucket_lifecycle_configuration(
        Bucket="bucket", LifecycleConfiguration={"Rules": [whole]}
    )
    assert problems(run_doctor(OUTLAST_STORE=STORE), "store.", "blobs.") == expected


def test_a_bucket_of_its_own_that_keeps_every_version(s3: S3Client, run_doctor: Any) -> None:
    """Each array that ever was would be paid for; said once where it is the jobs' bucket."""
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    findings = run_doctor(OUTLAST_BLOBS=STORE)
    assert problems(findings, "blobs.") == {"blobs.versioning": "warning"}
    assert "blobs.versioning" not in run_doctor(OUTLAST_STORE=STORE)


@pytest.mark.usefixtures("s3")
def test_a_worker_that_may_not_delete(ministack: Server, run_doctor: Any) -> None:
    """Each save would leave gigabytes behind, and only the bill tell."""

    def refuse(asked: Any) -> Answer | None:
        return Answer(403, DENIED_BY_S3) if asked.method == "POST" else None

    with between(refuse, ministack.url) as url:
        findings = run_doctor(OUTLAST_BLOBS=STORE, AWS_ENDPOINT_URL=url)
    assert problems(findings, "blobs.") == {"blobs.delete": "warning"}
    assert "s3:DeleteObject" in findings["blobs.delete"].mend


def test_a_place_that_changes_bytes(
    run_doctor: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checkpoint would be stored and could never be read."""
    put = type(open_blobs("/")).put

    def put_other(blobs: BlobStore, chunk: Any, data: memoryview) -> None:
        put(blobs, chunk, memoryview(bytes(len(data))))

    monkeypatch.setattr("outlast.checkpoint.blobs.folder.FolderBlobs.put", put_other)
    findings = run_doctor()
    assert problems(findings, "blobs.") == {"blobs.read": "error"}
    assert list((folder / "outlast.db.blobs").iterdir()) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ({}, None, None),
        ({"OUTLAST_BLOBS": "s3://b/a"}, "s3://b/a", "ok"),
        ({"OUTLAST_BLOBS": STORE}, None, "ok"),
        ({"OUTLAST_BLOBS": "s3://b/other"}, "s3://b/a", "error"),
        ({}, "s3://b/a", "error"),
        ({"OUTLAST_BLOBS": "{{ secret }}"}, "s3://b/a", "unknown"),
    ],
)
def test_workers_that_look_elsewhere(
    theirs: dict[str, str], ours: str | None, expected: str | None
) -> None:
    """Arrays that a person submits would never be found there."""
    variables = {"OUTLAST_STORE": STORE, "OUTLAST_QUEUE": "sqs://jobs"} | theirs
    chosen = {"blobs": ours} if ours else {}
    settings = Settings(store=STORE, queue="sqs://jobs", **chosen)
    findings = environment_findings("function", variables, settings, where="there")
    levels = {finding.check: str(finding.level) for finding in findings}
    assert levels.get("function.blobs") == expected
