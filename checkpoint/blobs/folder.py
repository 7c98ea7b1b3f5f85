"""Chunks as files in a folder."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from outlast.checkpoint.blobs.contract import BlobStore, Chunk, DamagedChunk, Found
from outlast.checkpoint.errors import StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")

# A chunk is a file of this ending, so that a file of someone else's is never taken for one.
WHOLE = ".chunk"
UNFINISHED = f"{WHOLE}.part"
FOLDER_ATTEMPTS = 10  # of others who remove an empty folder before a file is in it

FULL = "free some space, then go on"
ALLOW = "allow reading and writing there"
# What the system's errors mean to an operator.
REASONS = {
    errno.ENOSPC: f"the disk is full; {FULL}",
    errno.EDQUOT: f"the quota of this user is used up; {FULL}",
    errno.EROFS: f"its disk is read-only; {ALLOW}, or choose another folder",
    errno.EACCES: f"it may not be used; {ALLOW}, or choose another folder",
    errno.EPERM: f"it may not be used; {ALLOW}, or choose another folder",
    errno.ENOENT: "it is not there; mount its disk, or choose another folder",
    errno.ENOTDIR: "it is no folder; choose another path",
    errno.EEXIST: "it is no folder; choose another path",
}
OTHER_REASON = "the disk failed to read or write; check its space, limits and health"


class FolderBlobs(BlobStore):
    """Chunks in a folder, for all who see it: the workers of one machine, or of a network disk.

    A chunk is written under a name beside its own, synced and renamed: what has its name is whole.
    """

    def __init__(self, path: Path, *, part: Callable[[], str] = lambda: "") -> None:
        self._root = path.absolute()  # a kernel may change the working folder
        self._part = part

    @cached_property
    def _path(self) -> Path:
        return self._root / self._part()

    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk, and sync it and its folders; see `BlobStore.put`."""
        target, unfinished = self.path_of(chunk.name), self._unfinished(chunk.name)
        with self._translated_errors():
            try:
                with _in_its_folder(unfinished, lambda: unfinished.open("wb", buffering=0)) as file:
                    while data:
                        data = data[file.write(data) :]
                    os.fsync(file.fileno())
                unfinished.replace(target)
            except BaseException:
                with suppress(OSError):
                    unfinished.unlink()
                raise
            self._sync_folders(target)

    def read_into(self, chunk: Chunk, memory: memoryview) -> None:
        """Read the chunk's file; see `BlobStore.read_into`."""
        with self._translated_errors():
            try:
                file = self.path_of(chunk.name).open("rb", buffering=0)
            except FileNotFoundError:
                self._root.stat()  # Without the folder nothing is lost: its disk is not mounted.
                raise DamagedChunk(f"{self._path}: {chunk.name} is missing") from None
            with file:
                if not chunk.fills(memory, file):
                    raise DamagedChunk(f"{self._path}: {chunk.name} is not what was written")

    def delete(self, names: Iterable[str]) -> None:
        """Remove chunks, and folders that are empty then; see `BlobStore.delete`."""
        folders: set[Path] = set()
        with self._translated_errors():
            for name in names:
                for file in (self.path_of(name), self._unfinished(name)):
                    with suppress(FileNotFoundError):
                        file.unlink()
                    folders.update(self._folders(file)[:-1])
        for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):  # It is not empty, or it is gone already.
                folder.rmdir()

    def names(self, prefix: str = "") -> Iterator[Found]:
        """Yield the files of chunks; see `BlobStore.names`."""
        with self._translated_errors():
            for file in _files(self._path / prefix):
                whole = file.path.removesuffix(UNFINISHED).removesuffix(WHOLE)
                if whole == file.path:
                    continue
                with suppress(FileNotFoundError):
                    # When it was renamed or linked, which its other time does not tell.
                    written_at = file.stat(follow_symlinks=False).st_ctime
                    yield Found(os.path.relpath(whole, self._path), written_at)

    def link(self, chunk: Chunk, seconds: float) -> str:  # noqa: ARG002 - a file stays where it is
        """Return the file's URL; see `BlobStore.link`."""
        return self.path_of(chunk.name).as_uri()

    def copy(self, chunk: Chunk, name: str, source: BlobStore) -> Chunk:
        """Give a file of another folder one more name, else copy it; see `BlobStore.copy`."""
        if isinstance(source, FolderBlobs):
            with suppress(OSError):  # Another disk, or one without links; or what `put` will tell.
                self._link(source.path_of(chunk.name), chunk.size, self.path_of(name))
                return chunk._replace(name=name)
        return super().copy(chunk, name, source)

    def close(self) -> None:
        """Do nothing: no file is open."""

    def path_of(self, name: str) -> Path:
        """Return the path of a chunk's file."""
        return self._path / f"{name}{WHOLE}"

    def _unfinished(self, name: str) -> Path:
        return self._path / f"{name}{UNFINISHED}"

    def _folders(self, file: Path) -> list[Path]:
        """Return the folders of a file, from the innermost to that of all chunks."""
        return [folder for folder in file.parents if folder.is_relative_to(self._root)]

    def _link(self, source: Path, size: int, target: Path) -> None:
        """Give a file, which is never written again, one more name on the same disk."""
        if source.stat().st_size != size:
            raise FileNotFoundError(source)  # Who reads it will say what it is.
        _in_its_folder(target, lambda: os.link(source, target))
        self._sync_folders(target)

    def _sync_folders(self, file: Path) -> None:
        """Make the names on the way to a file durable, those too that someone else has made."""
        for folder in self._folders(file):
            _sync(folder)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = REASONS.get(error.errno or 0, OTHER_REASON)
            kind = StoreFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreUnavailable
            raise kind(f"{self._path}: {reason} ({error.strerror})") from error


def _in_its_folder(file: Path, make: Callable[[], T]) -> T:
    """Return what `make` returns, which makes a file; its folder is created where it is missing."""
    for _ in range(FOLDER_ATTEMPTS):
        with suppress(FileNotFoundError):
            return make()
        with suppress(FileNotFoundError):
            _make_folder(file.parent)
    return make()


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Some network disks know no sync of a folder.
            raise
    finally:
        os.close(descriptor)


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield the files in a folder and in those below; none where it is missing."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        else:
            yield entry
