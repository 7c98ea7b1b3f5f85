"""What the documentation has from the sources."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from outlast.worker.telemetry.events import EVENTS

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", ["operations.md", "settings.md"])
def test_a_page_is_in_step_with_the_sources(name: str) -> None:
    """An operator would set what does not exist, or wait for an event that never comes."""
    page = runpy.run_path(str(DOCS / "generate.py"))["pages"]()[DOCS / name]
    assert (DOCS / name).read_text() == page, "run `make docs`"


def test_every_event_says_what_to_do() -> None:
    """An operator would see an event and not know whether to act."""
    text = (DOCS / "operations.md").read_text()
    rows = {
        name: re.search(rf"^\| `{name}` \|.*\| (.*) \|$", text, re.MULTILINE) for name in EVENTS
    }
    assert [name for name, row in rows.items() if row is None or not row[1]] == []
