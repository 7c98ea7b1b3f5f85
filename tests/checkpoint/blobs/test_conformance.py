"""What every place of chunks promises: one suite for all kinds."""

from __future__ import annotations

import os
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter, ValidationError

from outlast.checkpoint.blobs.contract import CHUNK_BYTES, Chunk, DamagedChunk
from tests.checkpoint.blobs.conftest import chunk_of, names, put, read

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.checkpoint.blobs.contract import BlobStore
    from tests.checkpoint.blobs.conftest import Place

LINK_SECONDS = 60.0


@pytest.mark.parametrize("size", [0, 1, 1 << 20, CHUNK_BYTES])
def test_what_is_put_is_read(place: Place, size: int) -> None:
    """The arrays of a checkpoint would be lost; another worker reads them than has written them."""
    data = os.urandom(size)
    chunk = put(place.open(), data)
    assert read(place.open(), chunk) == data


def test_a_part_of_a_memory_is_put_and_filled(blobs: BlobStore) -> None:
    """Chunks are cut out of one large buffer: what lies beside them would be sent or lost."""
    chunk = chunk_of(b"345")
    blobs.put(chunk, memoryview(bytearray(b"0123456789"))[3:6])
    row = bytearray(b"..........")
    blobs.read_into(chunk, memoryview(row)[3:6])
    assert row == b"...345...."


def test_a_chunk_may_be_put_once_more(blobs: BlobStore) -> None:
    """A worker that cannot tell whether a write happened repeats it."""
    chunk = put(blobs, b"same")
    assert read(blobs, put(blobs, b"same")) == b"same"
    assert names(blobs) == [chunk.name]


def test_four_threads_put_and_read_at_a_time(blobs: BlobStore) -> None:
    """The last save of a slice, which they share, would store one chunk's bytes as another's."""
    every = {f"job/claim/{number}": os.urandom(300_000) for number in range(16)}
    with ThreadPoolExecutor(4) as pool:
        chunks = list(pool.map(lambda item: put(blobs, item[1], item[0]), every.items()))
        assert list(pool.map(lambda chunk: read(blobs, chunk), chunks)) == list(every.values())


def test_a_missing_chunk_is_damage(blobs: BlobStore) -> None:
    """A worker would wait for ever for a store that is well, and not take the checkpoint before."""
    put(blobs, b"other", "job/claim/1")
    with pytest.raises(DamagedChunk, match=r"job/claim/0.* is missing$"):
        read(blobs, chunk_of(b"gone"))


@pytest.mark.parametrize(
    "found", [b"", b"0123", b"0123456789abcdef", b"x123456789"], ids=["empty", "cut", "long", "bit"]
)
def test_a_chunk_that_is_not_what_was_written_is_damage(place: Place, found: bytes) -> None:
    """A job would go on from numbers that its kernel never had."""
    chunk = put(place.open(), b"0123456789")
    place.overwrite(chunk.name, found)
    with pytest.raises(DamagedChunk, match=r"job/claim/0.* is not what was written$"):
        read(place.open(), chunk)


def test_a_place_is_empty_before_the_first_chunk(blobs: BlobStore) -> None:
    """To look for what is left of a job without arrays would fail."""
    assert names(blobs) == []
    assert names(blobs, "job/") == []
    blobs.delete(["job/claim/0"])


def test_names_are_those_below_a_prefix(blobs: BlobStore) -> None:
    """The chunks of one job would be removed with those of another, or stay."""
    every = ["job-2/claim/0", "job/a/0", "job/a/1", "job/b/0", "job2/a/0"]
    for name in every:
        put(blobs, b"bytes", name)
    assert names(blobs) == every
    assert names(blobs, "job/") == ["job/a/0", "job/a/1", "job/b/0"]
    assert names(blobs, "job/a/") == ["job/a/0", "job/a/1"]
    assert names(blobs, "jo/") == []


def test_names_tell_when_a_chunk_was_written(blobs: BlobStore) -> None:
    """A chunk of a save that is under way would be removed as one that was forgotten."""
    before = time.time()
    put(blobs, b"bytes")
    (found,) = blobs.names()
    assert before - 2 <= found.written_at <= time.time() + 2  # some stores tell whole seconds


def test_what_is_deleted_is_gone(blobs: BlobStore) -> None:
    """What is paid for would grow with each save, or a chunk in use be lost."""
    gone, kept = put(blobs, b"1", "job/a/0"), put(blobs, b"2", "job/b/0")
    blobs.delete(iter([gone.name, "job/a/9", "other/a/0"]))
    assert names(blobs) == [kept.name]
    assert read(blobs, kept) == b"2"
    with pytest.raises(DamagedChunk):
        read(blobs, gone)
    blobs.delete([gone.name])
    assert read(blobs, put(blobs, b"3", "job/a/1")) == b"3"


def test_more_chunks_are_deleted_than_go_into_one_request(blobs: BlobStore) -> None:
    """The chunks of a large job would stay behind from the thousandth on."""
    last = put(blobs, b"last", "job/claim/2500")
    blobs.delete(f"job/claim/{number}" for number in range(2501))
    assert last.name not in names(blobs)


@pytest.mark.parametrize("part", ["", "/other"], ids=["same place", "another place"])
def test_a_copy_stands_alone(place: Place, part: str) -> None:
    """A fork would lose its arrays with the job that it came from, or the other way round."""
    source, target = place.open(), place.open(part)
    first = put(source, b"bytes", "job/a/0")
    copy = target.copy(first, "fork/b/7", source)
    assert copy == first._replace(name="fork/b/7")
    source.delete([first.name])
    assert read(target, copy) == b"bytes"
    back = source.copy(copy, "job/c/0", target)
    target.delete([copy.name])
    assert read(source, back) == b"bytes"


def test_a_copy_comes_from_a_place_of_another_kind(blobs: BlobStore, tmp_path: Path) -> None:
    """A job could not be forked from a laptop into the store of a deployment, or back."""
    from outlast.checkpoint.blobs.folder import FolderBlobs

    folder = FolderBlobs(tmp_path / "elsewhere")
    there = blobs.copy(put(folder, b"bytes"), "fork/a/0", folder)
    assert read(blobs, there) == b"bytes"
    assert read(folder, folder.copy(there, "fork/b/0", blobs)) == b"bytes"


def test_what_is_missing_cannot_be_copied(blobs: BlobStore) -> None:
    """A fork would be there, and fail at its first slice."""
    put(blobs, b"other", "job/claim/1")
    with pytest.raises(DamagedChunk, match="job/claim/0"):
        blobs.copy(chunk_of(b"gone"), "fork/claim/0", blobs)


# ministack takes every key of a request, and none in a link.
@pytest.mark.parametrize("place", ["folder", "seaweedfs"], indirect=True)
def test_a_link_is_read_without_credentials(blobs: BlobStore) -> None:
    """Who called a function could not get the arrays of its result."""
    chunk = put(blobs, b"bytes", "job-1/claim/0")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(blobs.link(chunk, LINK_SECONDS), timeout=10) as answer:
        assert answer.read() == b"bytes"


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "/a", "a//b", "a/.b", "a/", "", "a\n", "a b", "a" * 301]
)
def test_a_record_cannot_name_what_is_outside(name: str) -> None:
    """Who can write a record could have any file of a worker read or removed."""
    whole = TypeAdapter(Chunk)
    chunk = chunk_of(b"")
    assert whole.validate_python(chunk) == chunk
    with pytest.raises(ValidationError):
        whole.validate_python(chunk._replace(name=name))
