"""How a bucket is set up."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.doctor.between import DENIED_BY_S3, Answer, between
from tests.doctor.conftest import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from tests.servers import Server

STORE = "s3://bucket/jobs"


@pytest.fixture
def s3(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """A client of a service with one empty bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket="bucket")
        yield client


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_well(run_doctor: Any) -> None:
    """Doctor would cry wolf."""
    findings = run_doctor(OUTLAST_STORE=STORE)
    assert problems(findings, "store.", "clock.") == {}
    assert {"store.versioning", "store.lifecycle", "clock.store"} <= set(findings)


def test_a_bucket_that_keeps_every_version(s3: S3Client, run_doctor: Any) -> None:
    """Each checkpoint would be paid for as long as the bucket stands."""
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    assert problems(run_doctor(OUTLAST_STORE=STORE), "store.", "clock.") == {
        "store.versioning": "warning"
    }


GLACIER = {"Transitions": [{"Days": 90, "StorageClass": "GLACIER"}]}
RULES = {
    "a year": ({"Expiration": {"Days": 365}}, "ok"),
    "a week": ({"Expiration": {"Days": 7}}, "warning"),
    "a day in the calendar": ({"Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)}}, "error"),
    "out of reach": (GLACIER, "error"),
    "cheaper": ({"Transitions": [{"Days": 90, "StorageClass": "STANDARD_IA"}]}, "ok"),
    "elsewhere": ({"Expiration": {"Days": 1}, "Filter": {"Prefix": "logs/"}}, "ok"),
    "a part of it": ({"Expiration": {"Days": 1}, "Filter": {"Prefix": "jobs/jobs/a"}}, "warning"),
    "parts for a year": (
        {"Expiration": {"Days": 365}, "Filter": {"Prefix": "jobs/parts/"}},
        "ok",
    ),
    "parts for a week": (
        {"Expiration": {"Days": 7}, "Filter": {"Prefix": "jobs/parts/"}},
        "warning",
    ),
    "switched off": ({"Expiration": {"Days": 1}, "Status": "Disabled"}, "ok"),
    "tagged": (
        {"Expiration": {"Days": 1}, "Filter": {"Tag": {"Key": "a", "Value": "b"}}},
        "ok",
    ),
    "old form": ({"Expiration": {"Days": 1}, "Prefix": "jobs/"}, "warning"),
}


@pytest.mark.parametrize(("rule", "expected"), RULES.values(), ids=RULES)
def test_a_rule_that_deletes_jobs(
    rule: dict[str, Any], expected: str, s3: S3Client, run_doctor: Any
) -> None:
    """Jobs would vanish months after the rule was made, or a harmless rule alarm."""
    whole: Any = {"ID": "r", "Status": "Enabled"} | rule
    if "Prefix" not in whole:
        whole = {"Filter": {"Prefix": ""}} | whole
    s3.put_bucket_lifecycle_configuration(
        Bucket="bucket", LifecycleConfiguration={"Rules": [whole]}
    )
    findings = run_doctor(OUTLAST_STORE=STORE)
    assert problems(findings, "store.", "clock.") == (
        {} if expected == "ok" else {"store.lifecycle": expected}
    )


def test_a_rule_for_parts_breaks_no_job(s3: S3Client, run_doctor: Any) -> None:
    """A person would fear for results, which such a rule does not reach."""
    rule: Any = {
        "ID": "r",
        "Status": "Enabled",
        "Expiration": {"Days": 7},
        "Filter": {"Prefix": "jobs/parts/"},
    }
    s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration={"Rules": [rule]})
    finding = run_doctor(OUTLAST_STORE=STORE)["store.lifecycle"]
    assert finding.found == "rule 'r' deletes parts of jobs that nobody wrote to for 7 days"
    assert finding.breaks.startswith("parts that are done are computed again")


def test_a_store_that_ignores_conditions(ministack: Server, s3: S3Client, run_doctor: Any) -> None:
    """Two workers would overwrite each other, and each believe that all is well."""
    dropped = ("if-match", "if-none-match")
    with between(lambda _: None, ministack.url, drop=dropped) as url:
        findings = run_doctor(OUTLAST_STORE=STORE, AWS_ENDPOINT_URL=url)
    assert problems(findings, "store.", "clock.") == {
        "store.compare-and-set": "error",
        "store.delete": "warning",
    }
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 0


@pytest.mark.usefixtures("s3")
def test_a_user_who_may_not_look_at_the_bucket(ministack: Server, run_doctor: Any) -> None:
    """The least rights of a worker would be told as errors."""

    def answer(asked: Any) -> Answer | None:
        is_setting = asked.path.endswith(("?versioning", "?lifecycle"))
        return Answer(403, DENIED_BY_S3) if is_setting else None

    with between(answer, ministack.url) as url:
        findings = run_doctor(OUTLAST_STORE=STORE, AWS_ENDPOINT_URL=url)
    assert problems(findings, "store.", "clock.") == {"store.look": "unknown"}
    assert findings["clock.store"].level == "ok"


@pytest.mark.usefixtures("s3")
def test_a_user_who_may_nothing(ministack: Server, run_doctor: Any) -> None:
    """The first job would find out, not who deploys."""
    with between(lambda _: Answer(403, DENIED_BY_S3), ministack.url) as url:
        findings = run_doctor(OUTLAST_STORE=STORE, AWS_ENDPOINT_URL=url)
    assert problems(findings, "store.", "clock.") == {"store.reach": "error"}
    assert "s3:PutObject" in findings["store.reach"].mend


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there(run_doctor: Any) -> None:
    """A person would not know that it is the bucket that is missing."""
    findings = run_doctor(OUTLAST_STORE="s3://no-such-bucket/jobs")
    assert problems(findings, "store.", "clock.") == {"store.reach": "error"}
    assert findings["store.reach"].mend == "create the bucket or correct the name"
