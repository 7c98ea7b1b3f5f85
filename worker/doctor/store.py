"""The store: whether it keeps the contract, by trying. The checks of each kind have their file."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CheckpointError, StoreUnavailable, VersionConflict
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.safe_text import redacted
from outlast.checkpoint.sqlite_url import sqlite_path
from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.register import Register
    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings

# Not the prefix of jobs: a key that a killed doctor leaves behind is not a job.
PREFIX = "doctor/"


def store_checks(settings: Settings) -> list[Check]:
    """Return the checks of the store; the first one does with it what workers do."""
    url = settings.store
    checks: list[Check]
    if path := sqlite_path(url):
        from outlast.worker.doctor.sqlite_disk import disk_findings

        checks = [partial(disk_findings, "store", path, max_state_bytes=settings.max_state_bytes)]
    elif url.startswith("redis"):
        from outlast.worker.doctor.redis_server import redis_checks

        checks = redis_checks(url)
    else:
        from outlast.worker.doctor.s3_bucket import bucket_checks

        checks = bucket_checks(url)
    return [partial(_contract, url), *checks]


def _contract(url: str) -> Iterator[Finding]:
    register = open_register(url)
    try:
        yield from scratch_findings(register, redacted(url))
    finally:
        if close := getattr(register, "close", None):
            close()


def scratch_findings(register: Register, store: str) -> Iterator[Finding]:
    """Try the store with a scratch key, which is removed again in any case."""
    key = PREFIX + secrets.token_hex(16)
    register.read(key)
    yield ok("store.reach", store)
    try:
        yield from _rights(register, key)
    finally:
        with suppress(CheckpointError):
            if stored := register.read(key):
                register.delete(key, expected=stored.version)


def _rights(register: Register, key: str) -> Iterator[Finding]:
    value = _value()
    try:
        first = register.write(key, _value(), expected=None)
        second = register.write(key, value, expected=first)
        stored = register.read(key)
    except StoreUnavailable as refused:
        fact, _, mend = str(refused).rpartition("; ")
        breaks = "no job can be stored, no progress saved"
        yield error("store.write", fact, breaks=breaks, mend=mend)
        return
    yield ok("store.write", "a scratch key was created and replaced")
    yield _same(stored.value if stored else b"", value)
    yield _compare_and_set(register, key, first)
    yield _list(register, key)
    yield _delete(register, key, first, second)


def _same(stored: bytes, written: bytes) -> Finding:
    if stored == written:
        return ok("store.read", "what was written is read back")
    return error(
        "store.read",
        f"of {len(written)} bytes that were written, {len(stored)} others are read back",
        breaks="each job is stored and can never be read again",
        mend="find what changes bytes on their way to the store or in it, such as a gateway",
    )


def _compare_and_set(register: Register, key: str, stale: str) -> Finding:
    ignored = [
        condition
        for condition, expected in (("that a key is new", None), ("a value's version", stale))
        if not _conflicts(partial(register.write, key, _value(), expected=expected))
    ]
    if ignored:
        return error(
            "store.compare-and-set",
            f"the store wrote although the condition did not hold: {', '.join(ignored)}",
            breaks="two workers overwrite each other's progress, and neither notices",
            mend="use a store that honours If-Match and If-None-Match on PUT, as AWS S3 does",
        )
    return ok("store.compare-and-set", "a write on a stale version is refused")


def _list(register: Register, key: str) -> Finding:
    breaks = "outlast list shows nothing, and no sweep wakes a job whose message was lost"
    try:
        if key in register.keys(PREFIX):
            return ok("store.list", "the scratch key is listed")
    except StoreUnavailable as refused:
        fact, _, mend = str(refused).rpartition("; ")
        return error("store.list", fact, breaks=breaks, mend=mend)
    mend = "use a store whose lists show the last write"
    return error("store.list", "a key just written is not listed", breaks=breaks, mend=mend)


def _delete(register: Register, key: str, stale: str, current: str) -> Finding:
    breaks = "no job can be deleted, and sweeps read jobs that are over. The scratch key stays"
    try:
        is_checked = _conflicts(partial(register.delete, key, expected=stale))
        if is_checked:
            stored = register.read(key)
            register.delete(key, expected=stored.version if stored else current)
    except StoreUnavailable as refused:
        fact, _, mend = str(refused).rpartition("; ")
        return warning("store.delete", fact, breaks=breaks, mend=mend)
    if not is_checked:
        return warning(
            "store.delete",
            "the store deleted although the version was stale",
            breaks="a job that is deleted while a worker writes it loses that write",
            mend="use a store that honours If-Match on DELETE, as AWS S3 does",
        )
    return ok("store.delete", "the scratch key is deleted")


def _conflicts(change: Callable[[], object]) -> bool:
    try:
        change()
    except VersionConflict:
        return True
    return False


def _value() -> bytes:
    """Return bytes that no other value has, as the register's contract requires."""
    return secrets.token_bytes(16)
