"""Writes the package that a new kernel begins as."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from outlast.kernel.registry import names

TEMPLATE = Path(__file__).with_name("scaffold")
FILES = ("README.md", "my_name.py", "pyproject.toml", "test_my_name.py")
KEBAB_CASE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 30
# Python and pytest import these by themselves wherever they find them.
IMPORTED_UNASKED = {"conftest", "sitecustomize", "usercustomize"}


class CannotScaffold(Exception):
    """The name or the folder cannot be used. Choose another; nothing was written."""


class CannotWrite(Exception):
    """The folder cannot be written. Nothing is left in it."""


def scaffold(name: str, into: Path) -> Path:
    """Write the package for a kernel called `name` as a new folder in `into`; return the folder.

    It is there whole or not at all.

    Raises:
        CannotScaffold: the name cannot be used, or the folder exists, or `into` does not.
        CannotWrite: `into` cannot be written, or its disk is full.
    """
    _check_name(name)
    try:
        return _written(name, into)
    except OSError as error:
        raise CannotWrite(
            f"cannot write in the folder {str(into)!r}: {error.strerror or error}; "
            "mend that, or choose another --into"
        ) from error


def _written(name: str, into: Path) -> Path:
    folder = into / name
    if not into.is_dir():
        raise CannotScaffold(f"there is no folder {str(into)!r}: make it, or choose another --into")
    if folder.exists() or folder.is_symlink():
        raise CannotScaffold(f"{str(folder)!r} is there already: choose another name or --into")
    # Not in the system's folder for such, from which a rename may not be possible.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=into))
    try:
        for file in FILES:
            text = (TEMPLATE / file).read_text(encoding="utf-8")
            (unfinished / _named(file, name)).write_text(_named(text, name), encoding="utf-8")
        unfinished.chmod(into.stat().st_mode & 0o777)  # mkdtemp's are closed to all others
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder


def _check_name(name: str) -> None:
    module = name.replace("-", "_")
    if not KEBAB_CASE.fullmatch(name) or len(name) > LONGEST_NAME:
        raise CannotScaffold(
            f"{name[:80]!r} cannot be a kernel's name: take up to {LONGEST_NAME} small letters, "
            "digits and single '-' between them, a letter first"
        )
    if name in names():
        raise CannotScaffold(f"a kernel {name!r} is installed already: choose another name")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        raise CannotScaffold(f"{module!r} is a word of Python's: choose another name")
    if find_spec(module) is not None:
        raise CannotScaffold(
            f"a module {module!r} is installed already, which the package would hide: "
            "choose another name"
        )
    if module in IMPORTED_UNASKED:
        raise CannotScaffold(
            f"a module {module!r} is imported without being asked for: choose another name"
        )
    if _is_taken(name):
        raise CannotScaffold(
            f"a package {name!r} is installed already or needed by the new one, "
            "which would take its place: choose another name"
        )


def _is_taken(name: str) -> bool:
    """Whether pip knows another package by that name, or would want one for the new package."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return name in _requirements()
    return True


def _requirements() -> set[str]:
    """Return the names of all that the template's pyproject.toml asks for."""
    text = (TEMPLATE / "pyproject.toml").read_text(encoding="utf-8")
    asked = tomllib.loads(text)
    project = asked["project"]
    wanted = [*asked["build-system"]["requires"], *project["dependencies"]]
    wanted += [one for extra in project["optional-dependencies"].values() for one in extra]
    return {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in wanted}


def _named(text: str, name: str) -> str:
    """Return `text` of the template with the kernel's name in place of its own."""
    words = name.split("-")
    for placeholder, actual in (
        ("my-name", name),
        ("my_name", "_".join(words)),
        ("MyName", "".join(word.capitalize() for word in words)),
    ):
        text = text.replace(placeholder, actual)
    return text
