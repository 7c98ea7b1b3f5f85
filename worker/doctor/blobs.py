"""The place of arrays: whether chunks are kept there, by trying, and who else sees it."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs import default_blobs, folder_path, open_blobs
from outlast.checkpoint.blobs.contract import Chunk, DamagedChunk
from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.safe_text import redacted
from outlast.worker.doctor import sqlite_disk
from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings

SPACE_BYTES = 1 << 30
BUCKET = "set OUTLAST_BLOBS=s3://bucket/prefix"


def blob_checks(settings: Settings) -> list[Check]:
    """Return the checks of the place of arrays; the first one does with it what workers do."""
    url = settings.blobs
    if url is None:
        return [_nowhere]
    if path := folder_path(url):
        return [partial(_contract, url), partial(_folder, settings, path)]
    from outlast.worker.doctor.s3_bucket import chunk_checks

    return [partial(_contract, url), *chunk_checks(url, is_of_store=url == settings.store)]


def _nowhere() -> Iterator[Finding]:
    fact = "there is no place for arrays, which only kernels with such need"
    yield ok("blobs.place", f"{fact}; OUTLAST_BLOBS=s3://bucket/prefix or a folder is one")


def _contract(url: str) -> Iterator[Finding]:
    data = secrets.token_bytes(16)
    # Not the id of a job: a doctor that is killed leaves nothing that looks like a job's.
    name = f"doctor/{secrets.token_hex(16)}/0"
    chunk = Chunk(name, len(data), hashlib.sha256(data).hexdigest())
    with closing(open_blobs(url)) as blobs:
        blobs.put(chunk, memoryview(data))
        yield ok("blobs.write", f"a scratch chunk was written to {redacted(url)}")
        try:
            yield _read(blobs, chunk)
            yield _list(blobs, name)
        finally:
            deleted = _delete(blobs, name)
        yield deleted


def _read(blobs: BlobStore, chunk: Chunk) -> Finding:
    try:
        blobs.read_into(chunk, memoryview(bytearray(chunk.size)))
    except DamagedChunk as damaged:
        return error(
            "blobs.read",
            str(damaged),
            breaks="no checkpoint with arrays can ever be read again",
            mend="find what changes bytes on their way there or in it, such as a gateway",
        )
    return ok("blobs.read", "what was written is read back")


def _list(blobs: BlobStore, name: str) -> Finding:
    if name in [found.name for found in blobs.names(name.removesuffix("0"))]:
        return ok("blobs.list", "the scratch chunk is listed")
    return warning(
        "blobs.list",
        "a chunk just written is not listed",
        breaks="what killed workers leave is never removed",
        mend="use a store whose lists show the last write",
    )


def _delete(blobs: BlobStore, name: str) -> Finding:
    try:
        blobs.delete([name])
    except StoreUnavailable as refused:
        fact, _, mend = str(refused).rpartition("; ")
        breaks = "each save leaves what the one before it needed. The scratch chunk stays"
        return warning("blobs.delete", fact, breaks=breaks, mend=mend)
    return ok("blobs.delete", "the scratch chunk is deleted")


def _folder(settings: Settings, path: Path) -> Iterator[Finding]:
    kind = sqlite_disk.kind_of(path, sqlite_disk.MOUNTS)
    if settings.blobs != default_blobs(settings.store):  # else the disk of the store's file tells
        yield _disk(path, kind)
    if not settings.store.startswith("sqlite:"):
        yield _place(path, is_network=kind in sqlite_disk.NETWORK)
    yield sqlite_disk.space(
        "blobs.space", path, SPACE_BYTES, saved="arrays take", mend="choose another OUTLAST_BLOBS"
    )


def _disk(path: Path, kind: str) -> Finding:
    if kind not in sqlite_disk.TRANSIENT:
        return ok("blobs.disk", f"{path} is on a disk that lasts{kind and f' ({kind})'}")
    breaks = f"the folder {sqlite_disk.TRANSIENT[kind]}, and every checkpoint with arrays is lost"
    mend = f"choose a folder on a disk that lasts, or {BUCKET}"
    return warning("blobs.disk", f"{path} is on {kind}", breaks=breaks, mend=mend)


def _place(path: Path, *, is_network: bool) -> Finding:
    if is_network:
        return ok("blobs.place", f"{path} is on a network disk, which each worker must mount there")
    return warning(
        "blobs.place",
        f"the store is shared, but its arrays are in a folder of this machine: {path}",
        breaks="a worker elsewhere finds no checkpoint with arrays, and a machine whose disk does "
        "not last takes them with it",
        mend=f"{BUCKET}, or mount one network disk there on all workers",
    )
