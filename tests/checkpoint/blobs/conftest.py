"""The places of chunks that the one conformance suite runs against."""

from __future__ import annotations

import hashlib
import uuid
from abc import ABC, abstractmethod
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import boto3
import pytest

from outlast.checkpoint.blobs import open_blobs
from outlast.checkpoint.blobs.contract import Chunk
from tests.checkpoint.conftest import BUCKET, S3_STORES, create_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outlast.checkpoint.blobs.contract import BlobStore


class Place(ABC):
    """An empty place of chunks, and a way to damage them behind its back."""

    def __init__(self, opened: ExitStack, url: str) -> None:
        self._opened = opened
        self.url = url

    def open(self, part: str = "") -> BlobStore:
        """Return the place as one more worker would have it, or the one below it named `part`."""
        return self._opened.enter_context(closing(open_blobs(self.url + part)))

    @abstractmethod
    def overwrite(self, name: str, data: bytes) -> None:
        """Replace the bytes of a chunk."""


class Folder(Place):
    """A folder that is missing still."""

    def overwrite(self, name: str, data: bytes) -> None:
        """Write to the chunk's file."""
        self.open().path_of(name).write_bytes(data)


class InBucket(Place):
    """A prefix of a bucket on a real server."""

    def overwrite(self, name: str, data: bytes) -> None:
        """Put another object in the chunk's place."""
        with closing(boto3.client("s3")) as client:
            client.put_object(**self.open().at(name), Body=data)


@pytest.fixture(params=["folder", *S3_STORES])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Every kind of place in turn, empty."""
    with ExitStack() as opened:
        if request.param == "folder":
            yield Folder(opened, f"{tmp_path}/not/yet/there")
            return
        server = request.getfixturevalue(request.param)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        create_bucket(BUCKET)
        yield InBucket(opened, f"s3://{BUCKET}/{uuid.uuid4()}")


@pytest.fixture
def blobs(place: Place) -> BlobStore:
    """One opening of the place."""
    return place.open()


def chunk_of(data: bytes, name: str = "job/claim/0") -> Chunk:
    """Return how a record lists these bytes."""
    return Chunk(name, len(data), hashlib.sha256(data).hexdigest())


def put(blobs: BlobStore, data: bytes, name: str = "job/claim/0") -> Chunk:
    """Write a chunk; return it."""
    chunk = chunk_of(data, name)
    blobs.put(chunk, memoryview(data))
    return chunk


def read(blobs: BlobStore, chunk: Chunk) -> bytes:
    """Return the bytes of a chunk."""
    memory = bytearray(chunk.size)
    blobs.read_into(chunk, memoryview(memory))
    return bytes(memory)


def names(blobs: BlobStore, prefix: str = "") -> list[str]:
    """Return the names of the chunks, sorted."""
    return sorted(found.name for found in blobs.names(prefix))
