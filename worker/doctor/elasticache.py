"""The Valkey of a stack as ElastiCache tells of it, since it can be asked only within its VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.checkpoint.aws_client import make_client
from outlast.worker.doctor.aws import CONFIG, asking
from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_elasticache import ElastiCacheClient

    from outlast.worker.doctor.finding import Finding

SERVER = "AWS::ElastiCache::ReplicationGroup"
SERVERLESS = "AWS::ElastiCache::ServerlessCache"
PARAMETERS = "AWS::ElastiCache::ParameterGroup"
MODIFY = "aws elasticache modify-replication-group --apply-immediately --replication-group-id"
MODIFY_SERVERLESS = "aws elasticache modify-serverless-cache --serverless-cache-name"


def cache_findings(resources: dict[str, list[str]]) -> Iterator[Finding]:
    """Check the cache among a stack's resources, whose physical names are given by type."""
    with asking():
        client: ElastiCacheClient = make_client("elasticache", config=CONFIG)
        for name in resources.get(SERVER, []):
            answer = client.describe_replication_groups(ReplicationGroupId=name)
            yield from _server(dict(answer["ReplicationGroups"][0]), f"{MODIFY} {name}")
        for group in resources.get(PARAMETERS, []):
            yield _eviction(group, _policy(client, group))
        for name in resources.get(SERVERLESS, []):
            caches = client.describe_serverless_caches(ServerlessCacheName=name)
            yield from _serverless(dict(caches["ServerlessCaches"][0]), name)


def _server(group: dict[str, Any], modify: str) -> Iterator[Finding]:
    yield _status(group["Status"])
    yield _failover(group.get("AutomaticFailover", "unknown"), modify)
    yield _snapshots(group.get("SnapshotRetentionLimit", 0), modify)
    if not (group.get("TransitEncryptionEnabled") and group.get("AuthTokenEnabled")):
        yield warning(
            "cache.password",
            "it has no password, or speaks without TLS",
            breaks="whatever else gets into the VPC can read and replace all jobs",
            mend="deploy it as deploy/template.yaml is",
        )


def _serverless(cache: dict[str, Any], name: str) -> Iterator[Finding]:
    modify = f"{MODIFY_SERVERLESS} {name}"
    yield _status(cache["Status"])
    yield _snapshots(cache.get("SnapshotRetentionLimit", 0), modify)
    yield _bound(cache.get("CacheUsageLimits", {}).get("DataStorage", {}).get("Maximum"), modify)


def _bound(gigabytes: int | None, modify: str) -> Finding:
    if gigabytes is not None:
        return ok("cache.bound", f"{gigabytes} GB at most")
    return warning(
        "cache.bound",
        "it grows without bound",
        breaks="each GB costs $61 a month, and a loop can fill thousands",
        mend=f"{modify} --cache-usage-limits 'DataStorage={{Maximum=1,Unit=GB}}'; or "
        "RedisGigabytes in deploy/template.yaml",
    )


def _status(status: str) -> Finding:
    if status.lower() in {"available", "snapshotting"}:
        return ok("cache.status", status)
    breaks = "while it is so, the function may not reach its jobs"
    mend = "wait, or see the events of ElastiCache: aws elasticache describe-events"
    return warning("cache.status", status, breaks=breaks, mend=mend)


def _failover(automatic: str, modify: str) -> Finding:
    if automatic == "enabled":
        return ok("cache.failover", "a replica takes over")
    return warning(
        "cache.failover",
        f"automatic failover is {automatic}",
        breaks="jobs stand still while the server is down, and are lost with it",
        mend=f"{modify} --automatic-failover-enabled --multi-az-enabled",
    )


def _snapshots(days: int, modify: str) -> Finding:
    if days:
        return ok("cache.snapshots", f"kept for {days} days")
    breaks = "both copies lost, or a deletion by mistake, is every job lost"
    mend = f"{modify} --snapshot-retention-limit 7"
    return warning("cache.snapshots", "there are none", breaks=breaks, mend=mend)


def _policy(client: ElastiCacheClient, group: str) -> str:
    pages = client.get_paginator("describe_cache_parameters")
    for page in pages.paginate(CacheParameterGroupName=group):
        for parameter in page["Parameters"]:
            if parameter.get("ParameterName") == "maxmemory-policy":
                return parameter.get("ParameterValue", "")
    return ""


def _eviction(group: str, policy: str) -> Finding:
    if policy == "noeviction":
        return ok("cache.eviction", "maxmemory-policy is noeviction")
    return error(
        "cache.eviction",
        f"maxmemory-policy is {policy or 'not set'}",
        breaks="a full server deletes jobs to make room",
        mend=f"aws elasticache modify-cache-parameter-group --cache-parameter-group-name {group} "
        "--parameter-name-values ParameterName=maxmemory-policy,ParameterValue=noeviction",
    )
