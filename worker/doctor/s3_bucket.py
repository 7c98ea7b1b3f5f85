"""The configuration of an S3 bucket: what it deletes, moves out of reach or keeps for ever."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from outlast.checkpoint.aws_client import error_code, make_client
from outlast.checkpoint.blobs.s3 import CHUNKS
from outlast.checkpoint.names import PARTS
from outlast.checkpoint.s3_bucket import CONFIG
from outlast.worker.doctor.clock import clock_findings, date_of
from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

    from outlast.worker.doctor.finding import Check, Finding

# Nobody writes to a job that waits, is paused or has failed, nor to one whose parts are worked on.
SHORT_DAYS = 30
# A GET reads these without a restore.
AT_HAND = {"STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}


def bucket_checks(url: str) -> list[Check]:
    """Return the checks of the bucket in `url`; none of them reads or writes a job."""
    versioning = partial(_versioning, "store")
    return [partial(_connect, url, check) for check in (versioning, _lifecycle, _clock)]


def chunk_checks(url: str, *, is_of_store: bool) -> list[Check]:
    """Return the checks of a bucket of arrays; without what those of the store have told of it."""
    lifecycle = partial(_connect, url, _lifecycle_of_chunks)
    versioning = partial(_connect, url, partial(_versioning, "blobs"))
    return [lifecycle] if is_of_store else [lifecycle, versioning]


def _connect(
    url: str, check: Callable[[S3Client, str, str], Iterator[Finding]]
) -> Iterator[Finding]:
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    with closing(make_client("s3", config=CONFIG)) as client:
        yield from check(client, parts.netloc, f"{prefix}/" if prefix else "")


def _versioning(subject: str, client: S3Client, bucket: str, _prefix: str) -> Iterator[Finding]:
    name = f"{subject}.versioning"
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
    rules = [
        rule
        for rule in _rules(client, bucket, prefix)
        if not _beginning(rule).startswith(prefix + CHUNKS)
    ]
    findings = [
        finding
        for rule in rules
        for finding in _rule(rule, is_for_parts=_beginning(rule).startswith(prefix + PARTS))
    ]
    yield from findings
    if not findings:
        yield ok("store.lifecycle", "no rule deletes jobs or moves them out of reach")


def _lifecycle_of_chunks(client: S3Client, bucket: str, prefix: str) -> Iterator[Finding]:
    rules = _rules(client, bucket, prefix + CHUNKS)
    findings = [finding for rule in rules for finding in _rule_of_chunks(rule)]
    yield from findings
    if not findings:
        yield ok("blobs.lifecycle", "no rule deletes arrays or moves them out of reach")


def _rules(client: S3Client, bucket: str, prefix: str) -> list[LifecycleRuleOutputTypeDef]:
    """Return the rules that are enabled and may apply to a key under `prefix`."""
    try:
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as refused:
        if error_code(refused) != "NoSuchLifecycleConfiguration":
            raise
        rules = []
    return [rule for rule in rules if _applies(rule, prefix)]


def _applies(rule: LifecycleRuleOutputTypeDef, prefix: str) -> bool:
    limits, begins = rule.get("Filter", {}), _beginning(rule)
    needs_tag = "Tag" in limits or "Tags" in limits.get("And", {})  # no key of ours has one of S3
    overlaps = begins.startswith(prefix) or prefix.startswith(begins)
    return rule["Status"] == "Enabled" and overlaps and not needs_tag


def _beginning(rule: LifecycleRuleOutputTypeDef) -> str:
    """Return how the keys begin to which a rule applies."""
    limits = rule.get("Filter", {})
    return limits.get("Prefix") or limits.get("And", {}).get("Prefix") or rule.get("Prefix") or ""


def _rule(rule: LifecycleRuleOutputTypeDef, *, is_for_parts: bool) -> Iterator[Finding]:
    what = "parts of jobs" if is_for_parts else "jobs"
    again = "parts that are done are computed again, where their job is not over by then"
    name, rule_name = "store.lifecycle", f"rule {rule.get('ID', '')!r}"
    days, date = rule.get("Expiration", {}).get("Days"), rule.get("Expiration", {}).get("Date")
    if date is not None:
        yield error(
            name,
            f"{rule_name} deletes {what} on {date:%Y-%m-%d}",
            breaks=again if is_for_parts else "every job is deleted then, even those that run",
            mend="give the rule Days, counted from the last write, instead of a date",
        )
    elif days is not None and days < SHORT_DAYS:
        yield warning(
            name,
            f"{rule_name} deletes {what} that nobody wrote to for {days} days",
            breaks=again
            if is_for_parts
            else "a paused or failed job, a result, and a job whose parts take longer are gone "
            "after that",
            mend="raise its days: JobDays in deploy/template.yaml",
        )
    elif days is not None:
        yield ok(name, f"{rule_name} deletes {what} that nobody wrote to for {days} days")
    breaks = "a job that is there cannot be read: it does not go on, and lists fail"
    yield from _transitions(rule, name, f"{rule_name} moves {what} to", breaks=breaks)


def _rule_of_chunks(rule: LifecycleRuleOutputTypeDef) -> Iterator[Finding]:
    name, rule_name = "blobs.lifecycle", f"rule {rule.get('ID', '')!r}"
    days, date = rule.get("Expiration", {}).get("Days"), rule.get("Expiration", {}).get("Date")
    if days is not None or date is not None:
        is_soon = days is None or days < SHORT_DAYS
        yield (error if is_soon else warning)(
            name,
            f"{rule_name} deletes arrays "
            + (f"on {date:%Y-%m-%d}" if date else f"{days} days after they were written"),
            breaks="arrays that do not change are not written again: a job that is still at work "
            "loses its checkpoints",
            mend=f"limit the rule to other prefixes than {CHUNKS}, as deploy/template.yaml does; "
            "outlast prune removes arrays with their jobs",
        )
    breaks = "a job whose arrays are there does not go on"
    yield from _transitions(rule, name, f"{rule_name} moves arrays to", breaks=breaks)


def _transitions(
    rule: LifecycleRuleOutputTypeDef, name: str, moves: str, *, breaks: str
) -> Iterator[Finding]:
    for transition in rule.get("Transitions", []):
        if (storage := transition.get("StorageClass", "")) not in AT_HAND:
            mend = "take the transition out of the rule, or limit it to another prefix"
            yield error(name, f"{moves} {storage}", breaks=breaks, mend=mend)


def _clock(client: S3Client, bucket: str, _prefix: str) -> Iterator[Finding]:
    ask = partial(date_of, partial(client.head_bucket, Bucket=bucket))
    yield from clock_findings("store", ask, resolution_seconds=1.0)
