"""The command that a person is told to type for an extra."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

from outlast.kernel import extras
from outlast.kernel.extras import how_to_install

if TYPE_CHECKING:
    from importlib.metadata import Distribution

ROOT = Path(__file__).parents[2]
FROM_INDEX = "pip install 'outlast[primes]'"


class Installed:
    """An installation of Outlast, as far as pip's note goes."""

    def __init__(self, note: str | None) -> None:
        self.note = note

    def read_text(self, name: str) -> str | None:
        """The file of that name, of which there is one at most."""
        assert name == "direct_url.json"
        return self.note


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What installs Outlast with this note."""

    def install(note: object) -> None:
        text = note if isinstance(note, str) else json.dumps(note)
        monkeypatch.setattr(extras, "distribution", lambda _: Installed(text))

    return install


def test_this_very_checkout_is_named() -> None:
    """A person with a checkout would be sent to an index, which may have another version."""
    assert how_to_install("gmp") == f"pip install --editable {shlex.quote(f'{ROOT}[gmp]')}"


def test_from_an_index_it_is_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who has the released package would be told something longer, or wrong."""
    monkeypatch.setattr(extras, "distribution", lambda _: Installed(None))
    assert how_to_install("primes") == FROM_INDEX


def test_a_folder_is_quoted_for_the_shell(installed: Any, tmp_path: Path) -> None:
    """The command would fall apart in a folder whose name has a space."""
    folder = tmp_path / "my tools"
    folder.mkdir()
    installed({"url": folder.as_uri(), "dir_info": {}})
    assert shlex.split(how_to_install("otel")) == ["pip", "install", f"{folder}[otel]"]


@pytest.mark.parametrize(
    ("note", "url"),
    [
        (
            {
                "url": "https://host/o.git",
                "vcs_info": {"vcs": "git", "commit_id": "c0ffee", "requested_revision": "main"},
            },
            "git+https://host/o.git@c0ffee",
        ),
        (
            {"url": "https://host/outlast-1.0-py3-none-any.whl", "archive_info": {}},
            "https://host/outlast-1.0-py3-none-any.whl",
        ),
    ],
)
def test_a_repository_or_an_archive_is_named(installed: Any, note: object, url: str) -> None:
    """The command would replace what runs here by another version."""
    installed(note)
    *command, requirement = shlex.split(how_to_install("metrics"))
    assert command == ["pip", "install"]
    parsed = Requirement(requirement)
    assert (parsed.name, parsed.extras, parsed.url) == ("outlast", {"metrics"}, url)


@pytest.mark.parametrize(
    "note",
    [
        "{",
        [],
        {"dir_info": {}},
        {"url": 7, "dir_info": {}},
        {"url": "https://host/o.git", "vcs_info": {}},
        {"url": "file:///no/such/folder", "dir_info": {"editable": True}},
    ],
)
def test_a_note_that_says_nothing_is_no_fault(installed: Any, note: object) -> None:
    """In place of what to install a person would meet a traceback, or a folder that is gone."""
    installed(note)
    assert how_to_install("primes") == FROM_INDEX


def test_without_any_note_it_is_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the files were only copied, an error message would become another error."""

    def missing(name: str) -> Distribution:
        raise extras.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", missing)
    assert how_to_install("primes") == FROM_INDEX
