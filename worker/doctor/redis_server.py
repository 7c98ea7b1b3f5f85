"""The configuration of Redis or Valkey servers: what they evict, forget or refuse."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import redis

from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.redis_cluster import RedisCluster
from outlast.worker.doctor.clock import clock_findings
from outlast.worker.doctor.finding import error, ok, unknown, warning
from outlast.worker.doctor.redis_failover import failover_check, primaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.redis_client import RedisClient
    from outlast.worker.doctor.finding import Check, Finding

NEARLY_FULL = 0.9


def redis_checks(url: str) -> list[Check]:
    """Return the checks of the server or servers at `url`; none of them reads or writes a job."""
    on_each = [partial(_connect, url, partial(_on_each, check)) for check in (_info, _save)]
    on_all = [partial(_connect, url, check) for check in (_kind, failover_check, clock_check)]
    return [*on_each, *on_all]


def _connect(url: str, check: Callable[[RedisClient], Iterator[Finding]]) -> Iterator[Finding]:
    with closing(connect(url)) as client:
        yield from check(client)


def _on_each(
    check: Callable[[redis.Redis], Iterator[Finding]], client: RedisClient
) -> Iterator[Finding]:
    """Check every primary; name those of which a finding does not hold for all."""
    if not isinstance(client, RedisCluster):
        yield from check(client)
        return
    found: dict[Finding, list[str]] = {}
    nodes = primaries(client)
    for node in nodes:
        for finding in check(client.get_redis_connection(node)):
            found.setdefault(finding, []).append(node.name)
    for finding, names in found.items():
        is_everywhere = len(names) == len(nodes) > 1
        where = f"each of {len(nodes)} nodes" if is_everywhere else ", ".join(names)
        yield replace(finding, found=f"{where}: {finding.found}")


def _kind(client: RedisClient) -> Iterator[Finding]:
    if isinstance(client, redis.Redis) and client.info("cluster").get("cluster_enabled"):
        yield error(
            "store.cluster",
            "the server is one node of a cluster",
            breaks="it refuses the jobs whose slot is on another node, and lists only its own",
            mend="write redis+cluster:// for redis:// in OUTLAST_STORE",
        )


def _info(client: redis.Redis) -> Iterator[Finding]:
    info: dict[str, Any] = client.info()
    yield _role(info)
    yield _eviction(info)
    yield from _memory(info)
    yield from _last_save(info)


def _role(info: dict[str, Any]) -> Finding:
    name = "store.role"
    if info.get("role") != "master":
        return error(
            name,
            "the server is a replica",
            breaks="it refuses writes, or accepts and loses them",
            mend="name the primary in OUTLAST_STORE",
        )
    return ok(name, f"a primary, with {info.get('connected_slaves', 0)} replicas")


def _eviction(info: dict[str, Any]) -> Finding:
    name, policy = "store.eviction", info.get("maxmemory_policy", "")
    if policy == "noeviction":
        return ok(name, "maxmemory-policy is noeviction")
    limit = info.get("maxmemory", 0)
    fact = f"maxmemory-policy is {policy}, maxmemory is {limit:,} bytes{'' if limit else ' (none)'}"
    mend = "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
    if limit and policy.startswith("allkeys"):
        return error(name, fact, breaks="a full server deletes jobs to make room", mend=mend)
    breaks = "once there is a limit on memory, or a time to live on a job, jobs may be deleted"
    return warning(name, fact, breaks=breaks, mend=mend)


def _memory(info: dict[str, Any]) -> Iterator[Finding]:
    limit, used = info.get("maxmemory", 0), info.get("used_memory", 0)
    if limit and used > NEARLY_FULL * limit:
        yield warning(
            "store.memory",
            f"{used:,} of {limit:,} bytes are used",
            breaks="a full server refuses to save",
            mend="raise maxmemory, or delete jobs that are over: outlast prune --older-than 30d",
        )


def _last_save(info: dict[str, Any]) -> Iterator[Finding]:
    for key in ("aof_last_write_status", "rdb_last_bgsave_status"):
        if info.get(key, "ok") != "ok":
            yield error(
                "store.disk",
                f"the server could not write to its disk ({key} is {info[key]})",
                breaks="it refuses writes, or forgets jobs at its next restart",
                mend="see the server's log, and its disk's space and rights",
            )


def _save(client: redis.Redis) -> Iterator[Finding]:
    name = "store.persistence"
    info: dict[str, Any] = client.info()
    appends = bool(info.get("aof_enabled"))
    try:
        option = "appendfsync" if appends else "save"
        config = cast("dict[str, str]", client.config_get(option))
    # A managed server may lack the command, and a user the right to it.
    except redis.ResponseError as refused:
        if appends:
            yield ok(name, "appendonly is on")
        else:
            mend = "allow +config|get, or see the backup settings of the service that runs it"
            yield unknown(name, f"appendonly is off; {refused}", mend=mend)
        return
    if appends:
        yield _appending(config["appendfsync"])
    else:
        yield _snapshots(config["save"], replicas=int(info.get("connected_slaves", 0)))


def _appending(fsync: str) -> Finding:
    if fsync == "no":
        return warning(
            "store.persistence",
            "appendonly is on, appendfsync is no",
            breaks="a power cut sets jobs back by what the system has not written, some 30 s",
            mend="redis-cli CONFIG SET appendfsync everysec, and the same in redis.conf",
        )
    cost = "a crash loses nothing" if fsync == "always" else "a crash may lose a second"
    return ok("store.persistence", f"appendonly is on, appendfsync is {fsync}: {cost}")


def _snapshots(save: str, *, replicas: int) -> Finding:
    mend = "redis-cli CONFIG SET appendonly yes, and the same in redis.conf"
    if save:
        return warning(
            "store.persistence",
            f"appendonly is off, snapshots are taken (save {save})",
            breaks="a restart sets jobs back to the last snapshot; newer jobs are lost",
            mend=mend,
        )
    fact = 'appendonly is off, save is ""'
    if replicas:
        breaks = f"jobs survive a restart on one of {replicas} replicas only"
        return warning("store.persistence", fact, breaks=breaks, mend=mend)
    return error("store.persistence", fact, breaks="a restart loses every job", mend=mend)


def clock_check(client: RedisClient) -> Iterator[Finding]:
    """Compare this machine's clock with the server's."""

    def ask() -> float:
        seconds, microseconds = client.time()
        return seconds + microseconds / 1e6

    client.ping()  # connects, as the time of that would blur the comparison
    yield from clock_findings("store", ask, resolution_seconds=0.0)
