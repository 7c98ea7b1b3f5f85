"""The bytes of arrays: in chunks in a folder or a bucket, listed in the job's record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from outlast.checkpoint.errors import InvalidStoreUrl
from outlast.checkpoint.registers import S3
from outlast.checkpoint.safe_text import redacted
from outlast.checkpoint.sqlite_url import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.blobs.contract import BlobStore

FORMS = "s3://bucket/prefix, /path/of/a/folder, ~/folder or file:///path/of/a/folder"
FOLDER = ".blobs"  # after the name of a SQLite file


def open_blobs(url: str, *, part: Callable[[], str] = lambda: "") -> BlobStore:
    """Return the place of chunks that a URL names; nothing is created, opened or asked yet.

    `s3://bucket/prefix` (region, endpoint and credentials are the AWS SDK's own settings), a
    folder's absolute path, where a leading `~` is the home folder, or its URL `file:///path`. The
    chunks are in a `part` of it, "" or a name and a slash, which is asked for at the first use.

    Raises:
        InvalidStoreUrl: the URL has another form.
    """
    if match := S3.fullmatch(url):
        from outlast.checkpoint.blobs.s3 import S3Blobs  # botocore takes 0.2 s

        return S3Blobs(match["bucket"], match["prefix"] or "", part=part)
    if path := folder_path(url):
        from outlast.checkpoint.blobs.folder import FolderBlobs

        return FolderBlobs(path, part=part)
    raise InvalidStoreUrl(
        f"no place of arrays has the URL {redacted(url)!r} (OUTLAST_BLOBS); use {FORMS}"
    )


def folder_path(url: str) -> Path | None:
    """Return the folder that a URL of `open_blobs` names; None: it names none."""
    if url.startswith("file:///"):
        return Path(unquote(url.removeprefix("file://")))
    try:
        path = Path(url).expanduser()
    except RuntimeError:  # there is no user of that `~name`
        return None
    return path if path.is_absolute() else None


def default_blobs(store_url: str) -> str | None:
    """Return where the arrays of a store's jobs are if nobody has chosen a place; None: nowhere.

    A bucket keeps them beside the jobs. A SQLite file has a folder beside it, of its own name and
    `.blobs`. Redis has no room for them.
    """
    if store_url.startswith("s3://"):
        return store_url
    if path := sqlite_path(store_url):
        return f"{path.resolve()}{FOLDER}"  # by whatever link it was opened
    return None
