"""A result as files: its arrays and blobs each in one, and the rest as JSON."""

from __future__ import annotations

import json
import os
import re
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REST = "result.json"
UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
NAME_CHARACTERS = 120


class CannotWrite(Exception):
    """The folder cannot be written; what was there before is whole. Choose another one."""


def write_result(result: Any, folder: Path) -> list[str]:
    """Write a result, with arrays and bytes in it, to a folder; return the names of the files.

    The folder is created. Each file has its name once it is whole, in place of one that had it
    before; `result.json` is the last. Its names of arrays and blobs are their paths in the result,
    with all in them replaced that a file name could not have.

    Raises:
        CannotWrite: the folder cannot be written, or its disk is full.
    """
    files: dict[str, object] = {}
    rest = _without_arrays(result, "", files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            _write(folder / name, lambda file, value=value: _save(file, value))  # type: ignore[misc]
        text = json.dumps(rest, indent=2) + "\n"
        _write(folder / REST, lambda file: file.write(text.encode()))
    except OSError as error:
        raise CannotWrite(
            f"cannot write in the folder {str(folder)!r}: {error.strerror or error}; make room or "
            "allow writing there, or choose another folder"
        ) from error
    return [*files, REST]


def _without_arrays(value: Any, path: str, files: dict[str, object]) -> Any:
    """Return the value with a file's name for each array and blob, which goes to `files`."""
    if isinstance(value, dict):
        return {key: _without_arrays(x, f"{path}.{key}", files) for key, x in value.items()}
    if isinstance(value, list):
        return [_without_arrays(x, f"{path}.{n}", files) for n, x in enumerate(value)]
    if value is None or isinstance(value, (str, int, float)):
        return value
    name = _name_for(path, ".bin" if isinstance(value, bytes) else ".npy", files)
    files[name] = value
    return name


def _name_for(path: str, ending: str, files: dict[str, object]) -> str:
    """Return a name that no other file has, also where capitals make no difference."""
    base = UNSAFE.sub("_", path).strip(".")[:NAME_CHARACTERS] or "result"
    taken, name, count = {name.lower() for name in files}, base + ending, 1
    while name.lower() in taken:
        count += 1
        name = f"{base}-{count}{ending}"
    return name


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under a name of this process, and rename it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _save(file: IO[bytes], value: Any) -> None:
    if isinstance(value, bytes):
        file.write(value)
        return
    import numpy as np

    np.lib.format.write_array(file, value, allow_pickle=False)
