#!/usr/bin/env python3
"""Writes what the documentation has from the sources: `make docs` runs it.

docs/settings.md is made of the settings' descriptions. In docs/operations.md the names, levels and
fields in the table of events are; what to do about an event is written there by hand.
"""

import logging
import re
from pathlib import Path

from pydantic.fields import FieldInfo

from outlast.worker.settings import OR_NONE, PREFIX, Settings
from outlast.worker.telemetry.events import EVENTS

DOCS = Path(__file__).parent
ROWS_OF_EVENTS = re.compile(r"(?:^\| `\w+` \| (?:DEBUG|INFO|WARNING|ERROR) \|.*\n)+", re.MULTILINE)

SETTINGS = """# Settings

Environment variables; an unknown name or a bad value is refused. `make docs` writes this page.

| variable | meaning | default |
|---|---|---|
"""


def pages() -> dict[Path, str]:
    """Return the text of each page that is made, whole or in part."""
    operations = (DOCS / "operations.md").read_text()
    return {
        DOCS / "settings.md": SETTINGS + "".join(map(_setting, Settings.model_fields.items())),
        DOCS / "operations.md": ROWS_OF_EVENTS.sub(lambda rows: _events(rows[0]), operations),
    }


def _setting(field: tuple[str, FieldInfo]) -> str:
    name, info = field
    return f"| `{PREFIX}{name.upper()}` | {info.description} | {_default(info)} |\n"


def _default(info: FieldInfo) -> str:
    """Return the default as a person would type it; nothing where the description says it."""
    match info.default:
        case None:
            return "`none`" if OR_NONE in info.metadata else ""
        case bool():
            return f"`{str(info.default).lower()}`"
        case int() | str():
            return f"`{info.default}`"
        case float():
            return f"`{info.default:g}`"
    return ""


def _events(rows: str) -> str:
    """Return a row for each event, with what to do about it from the `rows` that there are."""
    advice = dict(re.findall(r"^\| `(\w+)` .*\| (.*) \|$", rows, re.MULTILINE))
    return "".join(
        f"| `{name}` | {logging.getLevelName(event.level)} | {_fields(event.fields)} "
        f"| {advice.get(name, '')} |\n"
        for name, event in EVENTS.items()
    )


def _fields(names: tuple[str, ...]) -> str:
    return " ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text)
