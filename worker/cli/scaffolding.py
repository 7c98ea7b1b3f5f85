"""Writes the package that a new kernel begins as."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from outlast.kernel.registry import names

TEMPLATE = Path(__file__).with_name("scaffold")
DIVISIBLE = TEMPLATE / "divisible"  # what is different for a kernel that many workers can share
FILES = ("README.md", "my_name.py", "pyproject.toml", "test_my_name.py")
KEBAB_CASE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 30


class CannotScaffold(Exception):
    """The name or the folder cannot be used. Choose another; nothing was written."""


class CannotWrite(Exception):
    """The folder cannot be written. Nothing is left in it."""


def scaffold(name: str, into: Path, *, divisible: bool = False) -> Path:
    """Write the package for a kernel called `name` as a new folder in `into`; return the folder.

    It is there whole or not at all. `divisible`: many workers can share a job of the kernel.

    Raises:
        CannotScaffold: the name cannot be used, or the folder exists, or `into` does not.
        CannotWrite: `into` cannot be written, or its disk is full.
    """
    _check_name(name)
    folder = into / name
    try:
        if not into.is_dir():
            raise CannotScaffold(
                f"there is no folder {str(into)!r}: make it, or choose another --into"
            )
        if folder.exists() or folder.is_symlink():
            raise CannotScaffold(f"{str(folder)!r} is there already: choose another name or --into")
        _write(name, folder, divisible=divisible)
    except OSError as error:
        raise CannotWrite(
            f"cannot write in the folder {str(into)!r}: {error.strerror or error}; "
            "make room or allow writing there, or choose another --into"
        ) from error
    return folder


def _write(name: str, folder: Path, *, divisible: bool) -> None:
    into = folder.parent
    # Not in the system's temporary folder, from which a rename may not be possible.
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=into))
    try:
        for file in FILES:
            text = source_of(file, divisible=divisible).read_text(encoding="utf-8")
            (draft / _rename(file, name)).write_text(_rename(text, name), encoding="utf-8")
        draft.chmod(into.stat().st_mode & 0o777)  # mkdtemp's are closed to all others
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def source_of(file: str, *, divisible: bool) -> Path:
    """Return where the text of a file of the package is."""
    own = DIVISIBLE / file
    return own if divisible and own.exists() else TEMPLATE / file


def _check_name(name: str) -> None:
    module = name.replace("-", "_")
    if not KEBAB_CASE.fullmatch(name) or len(name) > LONGEST_NAME:
        raise CannotScaffold(
            f"{name[:80]!r} cannot be a kernel's name: take up to {LONGEST_NAME} small letters, "
            "digits and single '-' between them, a letter first"
        )
    if keyword.iskeyword(module):
        raise CannotScaffold(f"{module!r} is a word of Python's: choose another name")
    if name in names():
        raise CannotScaffold(f"a kernel {name!r} is installed already: choose another name")
    # The new package would hide a module of its name, and pip would replace a package of its name.
    if find_spec(module) or next(iter(distributions(name=name)), None):
        raise CannotScaffold(f"a package {name!r} is installed already: choose another name")


def _rename(text: str, name: str) -> str:
    """Return `text` of the template with the kernel's name in place of its own."""
    words = name.split("-")
    for placeholder, actual in (
        ("my-name", name),
        ("my_name", "_".join(words)),
        ("MyName", "".join(word.capitalize() for word in words)),
    ):
        text = text.replace(placeholder, actual)
    return text
