"""The configuration of an S3 bucket: what it deletes, moves out of reach or keeps for ever."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from outlast.checkpoint.s3_bucket import CONFIG, error_code
from outlast.worker.doctor.clock import clock_findings, date_of
from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

    from outlast.worker.doctor.finding import Check, Finding

# Nobody writes to a job that waits, is paused or has failed.
SHORT_DAYS = 30
# A GET reads these without a restore.
AT_HAND = {"STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}


def bucket_checks(url: str) -> list[Check]:
    """Return the checks of the bucket in `url`; none of them reads or writes a job."""
    return [partial(_connect, url, check) for check in (_versioning, _lifecycle, _clock)]


def _connect(
    url: str, check: Callable[[S3Client, str, str], Iterator[Finding]]
) -> Iterator[Finding]:
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    with closing(boto3.client("s3", config=CONFIG)) as client:
        yield from check(client, parts.netloc, f"{prefix}/" if prefix else "")


def _versioning(client: S3Client, bucket: str, _prefix: str) -> Iterator[Finding]:
    name = "store.versioning"
    if client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        yield ok(name, "versioning is off")
        return
    yield warning(
        name,
        "versioning is on",
        breaks="each checkpoint, one every few seconds, is kept and paid for",
        mend=f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration "
        "Status=Suspended, or a rule with NoncurrentVersionExpiration",
    )


def _lifecycle(client: S3Client, bucket: str, prefix: str) -> Iterator[Finding]:
    try:
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as refused:
        if error_code(refused) != "NoSuchLifecycleConfiguration":
            raise
        rules = []
    findings = [finding for rule in rules if _applies(rule, prefix) for finding in _rule(rule)]
    yield from findings
    if not findings:
        yield ok("store.lifecycle", "no rule deletes jobs or moves them out of reach")


def _applies(rule: LifecycleRuleOutputTypeDef, prefix: str) -> bool:
    """Whether a rule is enabled and may apply to a key under `prefix`."""
    limits = rule.get("Filter", {})
    begins = limits.get("Prefix") or limits.get("And", {}).get("Prefix") or rule.get("Prefix") or ""
    needs_tag = "Tag" in limits or "Tags" in limits.get("And", {})  # no job has a tag of S3
    overlaps = begins.startswith(prefix) or prefix.startswith(begins)
    return rule["Status"] == "Enabled" and overlaps and not needs_tag


def _rule(rule: LifecycleRuleOutputTypeDef) -> Iterator[Finding]:
    name, rule_name = "store.lifecycle", f"rule {rule.get('ID', '')!r}"
    days, date = rule.get("Expiration", {}).get("Days"), rule.get("Expiration", {}).get("Date")
    if date is not None:
        yield error(
            name,
            f"{rule_name} deletes jobs on {date:%Y-%m-%d}",
            breaks="every job is deleted then, even those that run",
            mend="give the rule Days, counted from the last write, instead of a date",
        )
    elif days is not None and days < SHORT_DAYS:
        yield warning(
            name,
            f"{rule_name} deletes jobs that nobody wrote to for {days} days",
            breaks="a paused or failed job and a result are gone after that",
            mend="raise its days: JobDays in deploy/template.yaml",
        )
    elif days is not None:
        yield ok(name, f"{rule_name} deletes jobs that nobody wrote to for {days} days")
    for transition in rule.get("Transitions", []):
        if (storage := transition.get("StorageClass", "")) not in AT_HAND:
            yield error(
                name,
                f"{rule_name} moves jobs to {storage}",
                breaks="a job that is there cannot be read: it does not go on, and lists fail",
                mend="take the transition out of the rule, or limit it to another prefix",
            )


def _clock(client: S3Client, bucket: str, _prefix: str) -> Iterator[Finding]:
    ask = partial(date_of, partial(client.head_bucket, Bucket=bucket))
    yield from clock_findings("store", ask, resolution_seconds=1.0)
