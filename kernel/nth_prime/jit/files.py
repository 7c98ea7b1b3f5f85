"""Machine code on disk: a file for each function and what its machine code depends on.

A file appears whole or not at all, as soon as the function is compiled: it serves other processes
at once, and is there if this one is killed. A file that is damaged or cannot be written costs
a warning and the time to compile.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from contextlib import suppress
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.jit.native import MachineCode

if TYPE_CHECKING:
    from collections.abc import Iterator


def load(name: str, key: str) -> MachineCode | None:
    """Return the machine code that was saved under a name and a key; None if there is none."""
    for folder in _folders():
        path = folder / _file_name(name, key)
        try:
            return _unpack(path.read_bytes())
        except OSError:
            continue
        except ValueError as error:
            _warn(f"damaged machine code is compiled again: {path}: {error}")
    return None


def save(name: str, key: str, code: MachineCode) -> None:
    """Keep machine code under a name and a key, in the first folder that takes it."""
    content = _pack(code)
    refusals = []
    for folder in _folders():
        try:
            _write(folder, _file_name(name, key), content)
        except OSError as error:
            refusals.append(f"{folder}: {error.strerror}")
            continue
        if refusals and folder == _private_folder():
            _warn(f"machine code is kept in {folder}, which may not last ({'; '.join(refusals)})")
        return
    _warn(f"machine code is not kept, and compiled in every process ({'; '.join(refusals)})")


def _folders() -> Iterator[Path]:
    """Yield where machine code is looked for and kept, the best place first."""
    if configured := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(configured)
    else:
        # As Python's own bytecode; where only an administrator may, in the user's folder.
        yield Path(cache_from_source(__file__)).parent
        with suppress(RuntimeError):  # A user may have no home folder.
            yield (
                Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "outlast"
            )
    if (private := _private_folder()) is not None:
        yield private


def _private_folder() -> Path | None:
    """Return a folder of this user's alone under the temporary one; None if that is impossible.

    Machine code is loaded from it, so a folder that others own or may write is not taken.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"outlast-compiled-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    ours = status.st_uid == os.getuid() and not status.st_mode & 0o022 and not folder.is_symlink()
    return folder if ours else None


def _file_name(name: str, key: str) -> str:
    return f"{name}-{sha256(key.encode()).hexdigest()[:32]}.native"


def _pack(code: MachineCode) -> bytes:
    """Return a digest of the rest and the types of the result, a line each, and the object file."""
    content = code.result.encode() + b"\n" + code.object_file
    return sha256(content).hexdigest().encode() + b"\n" + content


def _unpack(packed: bytes) -> MachineCode:
    """Return what `_pack` packed.

    Raises:
        ValueError: it is anything else.
    """
    digest, _, content = packed.partition(b"\n")
    if sha256(content).hexdigest().encode() != digest:
        raise ValueError("its digest is wrong")
    result, _, object_file = content.partition(b"\n")
    return MachineCode(result.decode(), object_file)


def _write(folder: Path, name: str, content: bytes) -> None:
    """Write a file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.{os.urandom(8).hex()}"
    try:
        part.write_bytes(content)
        part.replace(folder / name)
    except OSError:
        part.unlink(missing_ok=True)
        raise


_warnings: list[str] = []


def _warn(what: str) -> None:
    """Warn once in a process: what is true of one function is true of a hundred."""
    if not _warnings:
        _warnings.append(what)
        warnings.warn(what, stacklevel=2)
