"""What the documentation has from the sources."""

from __future__ import annotations

import re
import runpy
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from outlast.worker.telemetry.events import EVENTS

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", ["operations.md", "settings.md"])
def test_a_page_is_in_step_with_the_sources(name: str) -> None:
    """An operator would set what does not exist, or wait for an event that never comes."""
    page = runpy.run_path(str(DOCS / "generate.py"))["pages"]()[DOCS / name]
    assert (DOCS / name).read_text() == page, "run `make docs`"


def test_the_licence_of_every_package_is_listed() -> None:
    """A user whose company asks for them would have to look up a hundred packages."""
    text = (DOCS / "dependencies.md").read_text()
    table = text.partition("\n| licence | packages |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()]
    listed = [name for _, names in rows for name in names.split(", ")]
    licensed = runpy.run_path(str(DOCS / "generate.py"))["licensed"]()
    assert sorted(listed) == licensed, "run `make docs`"
    assert len(licensed) > 80
    assert "not stated" not in text
    needed = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    extras = needed["optional-dependencies"]
    users = [
        extras[name]
        for name in ("arrays", "dashboard", "gmp", "metrics", "otel", "primes", "runpod")
    ]
    for need in chain(needed["dependencies"], *users):
        assert re.split(r"[<>=\[]", need)[0] in listed


def test_every_event_says_what_to_do() -> None:
    """An operator would see an event and not know whether to act."""
    text = (DOCS / "operations.md").read_text()
    rows = {
        name: re.search(rf"^\| `{name}` \|.*\| (.*) \|$", text, re.MULTILINE) for name in EVENTS
    }
    assert [name for name, row in rows.items() if row is None or not row[1]] == []
