"""`outlast new-kernel`: what it refuses, and that it writes all or nothing.

That what it writes can be installed, tested and run is tested with docs/writing-a-kernel.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.process import assert_one_line
from tests.systems import on_linux

if TYPE_CHECKING:
    from tests.cli.process import Outlast, OutlastJson

FILES = ["README.md", "longest_walk.py", "pyproject.toml", "test_longest_walk.py"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a person is in, with nothing in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_it_tells_what_it_wrote_and_what_to_do(outlast: Outlast, here: Path) -> None:
    """An author would have to search for what is new, and for how to begin."""
    ended = outlast("new-kernel", "longest-walk")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"longest-walk: {', '.join(FILES)}\nnext: cd longest-walk && ")
    assert "outlast run longest-walk" in ended.out
    assert [path.name for path in here.iterdir()] == ["longest-walk"]
    written = {path: path.read_text() for path in (here / "longest-walk").iterdir()}
    assert sorted(path.name for path in written) == FILES
    assert not [text for text in written.values() if re.search("my.?name", text, re.IGNORECASE)]


@pytest.mark.parametrize("divisible", [True, False])
def test_a_kernel_that_many_can_share_is_written_where_it_is_wanted(
    outlast: Outlast, here: Path, *, divisible: bool
) -> None:
    """An author would begin with a kernel of the other kind."""
    ended = outlast("new-kernel", "longest-walk", *(["--divisible"] if divisible else []))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"longest-walk: {', '.join(FILES)}\n")
    written = {path.name: path.read_text() for path in (here / "longest-walk").iterdir()}
    assert sorted(written) == FILES
    assert not [text for text in written.values() if re.search("my.?name", text, re.IGNORECASE)]
    for file, word in (("longest_walk.py", "Divisible"), ("test_longest_walk.py", "assert_divis")):
        assert (word in written[file]) is divisible
    assert ("share one job" in written["README.md"]) is divisible


def test_it_tells_programs_the_same(outlast_json: OutlastJson, tmp_path: Path) -> None:
    """A script could not tell where the package is."""
    answer = outlast_json("new-kernel", "longest-walk", "--into", str(tmp_path))
    folder = str(tmp_path / "longest-walk")
    assert answer == {"name": "longest-walk", "folder": folder, "files": FILES}
    assert Path(folder).is_dir()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Longest", "'Longest' cannot be a kernel's name: take up to 30 small letters"),
        ("longest_walk", "cannot be a kernel's name"),
        ("longest--walk", "cannot be a kernel's name"),
        ("longest-", "cannot be a kernel's name"),
        ("3-walks", "cannot be a kernel's name"),
        ("../walk", "cannot be a kernel's name"),
        ("walk\n", r"'walk\n' cannot be a kernel's name"),
        ("", "'' cannot be a kernel's name"),
        ("a" * 31, "cannot be a kernel's name"),
        ("lambda", "'lambda' is a word of Python's: choose another name"),
        ("json", "a package 'json' is installed already"),
        ("outlast", "a package 'outlast' is installed already"),
        ("pydantic-core", "a package 'pydantic-core' is installed already"),
        ("python-dateutil", "a package 'python-dateutil' is installed already"),
        ("nth-prime", "a kernel 'nth-prime' is installed already"),
        ("tally", "a kernel 'tally' is installed already"),
    ],
)
def test_a_name_that_cannot_be_used(name: str, message: str, outlast: Outlast, here: Path) -> None:
    """An author would find out after an hour's work that nothing can import their package."""
    assert_one_line(outlast("new-kernel", name), 2, message)
    assert list(here.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(outlast: Outlast, here: Path) -> None:
    """An author's work would be overwritten."""
    (here / "longest-walk").mkdir()
    message = "'longest-walk' is there already: choose another name or --into"
    assert_one_line(outlast("new-kernel", "longest-walk"), 2, message)
    assert list((here / "longest-walk").iterdir()) == []
    (here / "gone").symlink_to(here / "nowhere")
    assert_one_line(outlast("new-kernel", "gone"), 2, "'gone' is there already")


def test_a_folder_that_is_not_there(outlast: Outlast) -> None:
    """A mistyped folder would be made, and the package looked for elsewhere."""
    message = "there is no folder 'nowhere': make it, or choose another --into"
    assert_one_line(outlast("new-kernel", "longest-walk", "--into", "nowhere"), 2, message)


@on_linux
def test_a_folder_that_cannot_be_written(outlast: Outlast) -> None:
    """An author would read of a file they never named, and not which folder is at fault."""
    ended = outlast("new-kernel", "longest-walk", "--into", "/proc")
    assert_one_line(ended, 1, "outlast: cannot write in the folder '/proc': ")
    assert ".longest-walk" not in ended.err
    assert "Error" not in ended.err


def test_it_is_written_whole_or_not_at_all(
    outlast: Outlast, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk would leave half a package, which the next try would refuse to replace."""
    written: list[Path] = []

    def write(path: Path, *_: Any, **__: Any) -> None:
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write)
    message = "cannot write in the folder '.': No space left on device"
    assert_one_line(outlast("new-kernel", "longest-walk"), 1, message)
    assert len(written) == 3
    assert list(here.iterdir()) == []
