"""The settings of workers on a platform, compared with those of this environment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outlast.checkpoint.blobs import default_blobs
from outlast.checkpoint.redis_url import REDIS_PORT, REDIS_URL, SENTINEL_PORT
from outlast.checkpoint.safe_text import redacted
from outlast.worker.doctor.finding import error, ok, unknown, warning
from outlast.worker.queues import REDIS_NAME
from outlast.worker.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outlast.worker.doctor.finding import Finding

BLOBS = "OUTLAST_BLOBS"
PLACEHOLDER = "{{"  # RunPod replaces it with a secret when the worker starts


def environment_findings(
    subject: str, theirs: Mapping[str, str], settings: Settings, *, where: str
) -> Iterator[Finding]:
    """Compare the variables of workers with `settings`; `where` says where a person sets them."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    if unknown_names := sorted(n for n in theirs if n.startswith(PREFIX) and n not in known):
        yield error(
            f"{subject}.settings",
            f"unknown settings: {', '.join(unknown_names)}",
            breaks="no worker starts",
            mend=f"take them out of {where}",
        )
    yield _compare(f"{subject}.store", theirs, settings.store, "OUTLAST_STORE", where)
    yield _compare(f"{subject}.queue", theirs, settings.queue, "OUTLAST_QUEUE", where)
    if BLOBS in theirs or "blobs" in settings.model_fields_set:
        place = default_blobs(theirs.get("OUTLAST_STORE", "")) or ""
        yield _compare(
            f"{subject}.blobs", {BLOBS: place, **theirs}, settings.blobs or "", BLOBS, where
        )


def _compare(
    check: str, theirs: Mapping[str, str], ours: str, variable: str, where: str
) -> Finding:
    their = theirs.get(variable, "")
    mend = f"set {variable}={redacted(ours)} in {where}"
    if not their:
        return error(check, f"{variable} is not set", breaks="no worker starts", mend=mend)
    if PLACEHOLDER in their:
        return unknown(check, f"{variable} is a secret", mend=f"compare it with {redacted(ours)}")
    if is_same(their, ours):
        return ok(check, f"{variable} is the same as here")
    fact = f"{variable} is {redacted(their)}, and {redacted(ours)} here"
    if _host(their) != _host(ours) and their.startswith("redis") and ours.startswith("redis"):
        breaks = "if these are not two names of one server, jobs from here are not known there"
        return warning(check, fact, breaks=breaks, mend=mend)
    return error(check, fact, breaks="jobs from here are never worked on there", mend=mend)


def is_same(one: str, other: str) -> bool:
    """Whether two URLs name the same store or queue, in whatever spelling."""
    if "sqs://" in (one[:6], other[:6]):
        return one.rsplit("/", 1)[-1] == other.rsplit("/", 1)[-1]
    return _parts(one) == _parts(other)


def _parts(url: str) -> tuple[object, ...]:
    if redis := REDIS_URL.fullmatch(url):
        kind = redis["scheme"], redis["cluster"], redis["sentinel"], redis["master"]
        return *kind, _host(url), int(redis["database"] or 0), redis["name"] or REDIS_NAME
    parts = urlsplit(url)
    path = parts.path.strip("/")
    if parts.scheme.startswith("http"):  # A queue may have another host in each network.
        return "sqs", None, None, path
    return parts.scheme, parts.hostname, parts.port, path


def _host(url: str) -> str | None:
    if not (redis := REDIS_URL.fullmatch(url)):
        return urlsplit(url).hostname
    port = SENTINEL_PORT if redis["sentinel"] else REDIS_PORT
    servers = redis["servers"].lower().split(",")
    return ",".join(sorted(each if ":" in each else f"{each}:{port}" for each in servers))
