"""Where items are read and results are written: a folder, or a prefix in a bucket of S3."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from outlast import NonRetryable

BUCKET = "s3://"
# What is the fault of a name, or of what has it; any other may be over soon, or elsewhere.
FILE_ERRORS = {
    errno.ENOENT,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
OBJECT_ERRORS = {"NoSuchKey", "AccessDenied", "InvalidObjectState", "KeyTooLongError"}
BUCKET_ERRORS = {"AccessDenied", "NoSuchBucket"}


class Unreadable(Exception):
    """One item cannot be read, however often it is tried."""


class Found(NamedTuple):
    """What a place has: its name there, and how many bytes."""

    name: str
    size: int


class Place(Protocol):
    """Files below a folder, or objects below a prefix, by their names from there on.

    Where it does not answer, its methods raise what the system or boto3 does.
    """

    def found(self, pattern: str) -> Iterator[Found]:
        """Yield all that is there, in any order; the pattern is for a folder.

        Raises:
            NonRetryable: there is no such place, or it may not be listed.
        """

    def read(self, name: str) -> bytes:
        """Return what is there by a name.

        Raises:
            Unreadable: nothing, or nothing that may be read.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write it as a whole, in place of what has had the name.

        Raises:
            NonRetryable: nothing can be written there.
        """


@contextmanager
def opened(url: str) -> Iterator[Place | None]:
    """Open a place within a block; "": there is none."""
    if not url:
        yield None
    elif url.startswith(BUCKET):
        import boto3  # here, as it takes a while and who submits needs none

        with closing(boto3.client("s3")) as client:
            yield Bucket(url, client)
    else:
        yield Folder(url)


class Folder:
    """A folder that all workers see."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def found(self, pattern: str) -> Iterator[Found]:
        """Yield the files that the pattern names, also those in folders below."""
        if not self._path.is_dir():
            raise NonRetryable(f"there is no folder {str(self._path)!r}")
        for path in self._path.glob(pattern):
            if path.is_file():
                yield Found(path.relative_to(self._path).as_posix(), path.stat().st_size)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        try:
            return (self._path / name).read_bytes()
        except ValueError as error:  # A name that no file can have.
            raise Unreadable(str(error)) from error
        except OSError as error:
            if error.errno in FILE_ERRORS:
                raise Unreadable(error.strerror) from error
            raise

    def write(self, name: str, data: bytes) -> None:
        """Write a file under another name first, so that it is never there in part."""
        part = self._path / f".{name}.{uuid4().hex}.part"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(data)
                part.replace(self._path / name)
            finally:
                part.unlink(missing_ok=True)
        except (NotADirectoryError, FileExistsError, PermissionError) as error:
            raise NonRetryable(f"cannot write in {str(self._path)!r}: {error.strerror}") from error


class Bucket:
    """The objects of a bucket whose keys begin alike."""

    def __init__(self, url: str, client: Any) -> None:
        """Take `s3://bucket/prefix`, and a client of boto3's."""
        from botocore.exceptions import ClientError

        self._url, self._client, self._error = url, client, ClientError
        self._bucket, _, self._prefix = url.removeprefix(BUCKET).partition("/")

    def found(self, pattern: str) -> Iterator[Found]:
        """Yield the objects, except those that stand for a folder."""
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):
                        yield Found(item["Key"].removeprefix(self._prefix), item["Size"])
        except self._error as error:
            raise self._of_bucket("listed", error) from error

    def read(self, name: str) -> bytes:
        """Return the bytes of an object."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            data: bytes = answer["Body"].read()
        except self._error as error:
            if _code(error) in OBJECT_ERRORS:
                raise Unreadable(_code(error)) from error
            raise
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write an object; the prefix is a folder here."""
        key = f"{self._prefix.rstrip('/')}/{name}".lstrip("/")
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data)
        except self._error as error:
            raise self._of_bucket("written", error) from error

    def _of_bucket(self, what: str, error: Exception) -> Exception:
        """Return the error, or one that ends the job where it would only repeat."""
        if _code(error) in BUCKET_ERRORS:
            return NonRetryable(f"{self._url} cannot be {what}: {_code(error)}")
        return error


def _code(error: Any) -> str:
    """Return S3's own word for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
