"""What the disk and other programs do to a folder of chunks, and what a person then reads."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from outlast.checkpoint.blobs import folder as module
from outlast.checkpoint.blobs.folder import FolderBlobs
from outlast.checkpoint.errors import StoreFull, StoreUnavailable
from tests.checkpoint.blobs.conftest import chunk_of, names, put, read
from tests.systems import on_linux

NOBODY = 65_534
LONG_AGO = 1_000_000_000

AS_NOBODY = """
import hashlib, os, sys
from pathlib import Path
from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.blobs.folder import FolderBlobs
from outlast.checkpoint.errors import StoreUnavailable
if os.geteuid() == 0:
    os.setuid(int(sys.argv[2]))
blobs = FolderBlobs(Path(sys.argv[1]))
chunk = Chunk("job/claim/0", 0, hashlib.sha256(b"").hexdigest())
try:
    {what}
except StoreUnavailable as error:
    print(error)
"""
LIMITED = """
import resource, sys
from pathlib import Path
from outlast.checkpoint.blobs.folder import FolderBlobs
from outlast.checkpoint.errors import StoreUnavailable
from tests.checkpoint.blobs.conftest import names, put
blobs = FolderBlobs(Path(sys.argv[1]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
try:
    put(blobs, bytes(1_000_000))
except StoreUnavailable as error:
    print(error)
assert names(blobs) == []
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder that does not exist yet."""
    return tmp_path / "outlast.db.blobs"


@pytest.fixture
def blobs(path: Path) -> FolderBlobs:
    """The chunks in it."""
    return FolderBlobs(path)


def run(script: str, *arguments: object) -> str:
    """Return what a script prints in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    root = Path(__file__).parents[3]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root)
    return ran.stdout


def files(path: Path) -> list[str]:
    """Return the files in a folder and below it."""
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir())


def fill_disk(blobs: FolderBlobs, name: str) -> None:
    """Make the chunk's file one on a device that is full."""
    device = blobs.path_of(name).with_suffix(".chunk.part")
    device.parent.mkdir(parents=True, exist_ok=True)
    device.symlink_to("/dev/full")


def test_a_full_disk_is_named_and_nothing_is_left(blobs: FolderBlobs, path: Path) -> None:
    """A full disk would end in a traceback, or stay full of what nobody can use."""
    before = put(blobs, b"before", "job/claim/0")
    fill_disk(blobs, "job/claim/1")
    with pytest.raises(StoreFull, match=f"^{path}: the disk is full; free some space, then go on"):
        put(blobs, bytes(100_000), "job/claim/1")
    assert files(path) == ["job/claim/0.chunk"]
    assert read(blobs, before) == b"before"
    after = put(blobs, bytes(100_000), "job/claim/1")
    assert read(blobs, after) == bytes(100_000)


def test_a_disk_that_fails_to_sync_has_no_chunk(
    blobs: FolderBlobs, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint would list bytes that the disk has dropped."""

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module.os, "fsync", fails)
    path.joinpath("job/claim").mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match=f"^{path}: the disk failed to read or write; check"):
        put(blobs, b"bytes")
    assert files(path) == []


def test_a_write_the_system_refuses_leaves_nothing(path: Path) -> None:
    """A file size limit would end in a traceback, or leave a part of the chunk."""
    assert run(LIMITED, path).startswith(f"{path}: the disk failed to read or write; check")


@pytest.mark.parametrize(
    ("mode", "what"),
    [
        (0o555, "blobs.put(chunk, memoryview(b''))"),
        (0o000, "blobs.read_into(chunk, memoryview(bytearray()))"),
        (0o000, "list(blobs.names())"),
        (0o555, "blobs.delete(['job/claim/0'])"),
    ],
)
def test_a_folder_that_may_not_be_used_is_named(mode: int, what: str) -> None:
    """A person would look at a traceback instead of at the folder's permissions."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "blobs"
        Path(name).chmod(0o755)
        chunk = put(FolderBlobs(path), b"")
        inner = FolderBlobs(path).path_of(chunk.name).parent
        inner.chmod(mode)
        path.chmod(mode)
        try:
            message = run(AS_NOBODY.format(what=what), path, NOBODY)
        finally:
            path.chmod(0o755)
            inner.chmod(0o755)
    assert message.startswith(f"{path}: it may not be used; allow reading and writing there")


def test_a_file_in_place_of_the_folder_is_named(blobs: FolderBlobs, path: Path) -> None:
    """A person would not learn which setting to correct."""
    path.touch()
    with pytest.raises(StoreUnavailable, match=f"^{path}: it is no folder; choose another path"):
        put(blobs, b"bytes")


def test_a_folder_that_is_not_there_is_no_damage(blobs: FolderBlobs, path: Path) -> None:
    """While a disk is not mounted, every job with arrays would fail for good."""
    with pytest.raises(StoreUnavailable, match=f"^{path}: it is not there; mount its disk, or"):
        read(blobs, chunk_of(b"bytes"))


def test_what_a_killed_writer_leaves_is_found_and_removed(blobs: FolderBlobs, path: Path) -> None:
    """The disk would fill with halves of chunks that no list shows."""
    whole = put(blobs, b"whole", "job/claim/0")
    half = blobs.path_of("job/claim/1").with_suffix(".chunk.part")
    half.write_bytes(b"ha")
    assert names(blobs) == ["job/claim/0", "job/claim/1"]
    blobs.delete(["job/claim/1"])
    assert files(path) == ["job/claim/0.chunk"]
    assert read(blobs, whole) == b"whole"


def test_folders_go_with_their_last_chunk(blobs: FolderBlobs, path: Path) -> None:
    """A folder for each job that ever was would stay."""
    every = [put(blobs, b"1", name).name for name in ("job/a/0", "job/b/0", "other/a/0")]
    blobs.delete(every[:1])
    assert sorted(f.name for f in path.rglob("*") if f.is_dir()) == ["a", "b", "job", "other"]
    blobs.delete(every[1:])
    assert list(path.iterdir()) == []


def test_what_is_no_chunk_is_left_alone(blobs: FolderBlobs, path: Path) -> None:
    """Who names a folder with files of their own would lose them to a clean-up."""
    put(blobs, b"bytes")
    path.joinpath("thesis.pdf").touch()
    path.joinpath("job/claim/1.part").touch()
    assert names(blobs) == ["job/claim/0"]
    blobs.delete(["thesis.pdf", "thesis", "job/claim/1", "job/claim/0"])
    assert files(path) == ["job/claim/1.part", "thesis.pdf"]


def test_a_folder_may_go_before_a_file_is_in_it(
    blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save would fail because another worker has just removed the job's last chunk."""
    make, others = module._make_folder, iter([True, True, False])

    def make_and_lose(folder: Path) -> None:
        make(folder)
        if folder.name == "claim" and next(others):
            folder.rmdir()
            folder.parent.rmdir()

    monkeypatch.setattr(module, "_make_folder", make_and_lose)
    assert read(blobs, put(blobs, b"bytes")) == b"bytes"
    assert next(others, None) is None


@on_linux
def test_a_chunk_and_its_folders_are_synced(
    blobs: FolderBlobs, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut would take chunks that a checkpoint lists: both checkpoints would be lost."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_sync(descriptor: int) -> None:
        fsync(descriptor)
        done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(path.parent)))

    def record_replace(old: Path, new: Path) -> None:
        replace(old, new)
        done.append("rename")

    monkeypatch.setattr(module.os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_replace)
    claim, job, root = (f"{path.name}/job/claim", f"{path.name}/job", path.name)
    put(blobs, b"bytes")
    made = [".", root, job]
    assert done == [*made, f"{claim}/0.chunk.part", "rename", claim, job, root]
    done.clear()
    blobs.copy(chunk_of(b"bytes"), "job/claim/1", blobs)
    assert done == [claim, job, root]


@on_linux
def test_a_disk_that_syncs_no_folders_is_good_enough(
    blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder on some network disks could not be used at all."""
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(module.os, "fsync", refuse_folders)
    assert read(blobs, put(blobs, b"bytes")) == b"bytes"


def test_a_copy_needs_no_room_and_is_as_new_as_it_is(blobs: FolderBlobs, tmp_path: Path) -> None:
    """A fork would take a gigabyte, or its chunks be removed as old before its record is there."""
    first = put(blobs, b"bytes")
    file = blobs.path_of(first.name)
    os.utime(file, (LONG_AGO, LONG_AGO))
    other = FolderBlobs(tmp_path / "other")
    copy = other.copy(first, "fork/claim/0", blobs)
    assert other.path_of(copy.name).samefile(file)
    (found,) = other.names()
    assert found.written_at > time.time() - 60


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_a_disk_without_links_copies_bytes(
    code: int, blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job could be forked from one disk to another."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.os, "link", refuse)
    copy = blobs.copy(put(blobs, b"bytes"), "fork/claim/0", blobs)
    assert read(blobs, copy) == b"bytes"


def test_a_chunk_that_was_cut_short_is_not_copied(blobs: FolderBlobs) -> None:
    """A fork of a damaged job would look sound until its first slice."""
    chunk = put(blobs, b"bytes")
    blobs.path_of(chunk.name).write_bytes(b"by")
    with pytest.raises(module.DamagedChunk):
        blobs.copy(chunk, "fork/claim/0", blobs)


def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that changes the folder it works in would take the arrays from its worker."""
    monkeypatch.chdir(tmp_path)
    blobs = FolderBlobs(Path("blobs"))
    chunk = put(blobs, b"bytes")
    monkeypatch.chdir("/")
    assert read(blobs, chunk) == b"bytes"
