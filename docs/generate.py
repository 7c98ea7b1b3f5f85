#!/usr/bin/env python3
"""Writes what the documentation has from the sources: `make docs` runs it.

docs/settings.md is made of the settings' descriptions. In docs/operations.md the names, levels and
fields in the table of events are; what to do about an event is written there by hand. In
docs/dependencies.md the licences are, as the packages state them that are pinned for the images.
"""

import logging
import re
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from pydantic.fields import FieldInfo

from outlast.worker.settings import OR_NONE, PREFIX, Settings
from outlast.worker.telemetry.events import EVENTS

DOCS = Path(__file__).parent
ROWS_OF_EVENTS = re.compile(r"(?:^\| `\w+` \| (?:DEBUG|INFO|WARNING|ERROR) \|.*\n)+", re.MULTILINE)

ROWS_OF_LICENCES = re.compile(r"(?<=\| licence \| packages \|\n\|---\|---\|\n)(?:\|.*\n)+")
PINS = ("requirements.txt", "requirements-runpod.txt", "requirements-build.txt")
# What a package may say in place of an expression of SPDX's.
SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",
}

SETTINGS = """# Settings

Environment variables; an unknown name or a bad value is refused. `make docs` writes this page.

| variable | meaning | default |
|---|---|---|
"""


def pages() -> dict[Path, str]:
    """Return the text of each page that is made, whole or in part."""
    operations = (DOCS / "operations.md").read_text()
    dependencies = (DOCS / "dependencies.md").read_text()
    return {
        DOCS / "settings.md": SETTINGS + "".join(map(_setting, Settings.model_fields.items())),
        DOCS / "operations.md": ROWS_OF_EVENTS.sub(lambda rows: _events(rows[0]), operations),
        DOCS / "dependencies.md": ROWS_OF_LICENCES.sub(
            lambda rows: _licences(rows[0]), dependencies
        ),
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


def licensed() -> list[str]:
    """Return the names of the packages that users install, but torch and what it needs."""
    pins = "".join((DOCS.parent / "deploy" / name).read_text() for name in PINS)
    in_images = re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)
    return sorted({*in_images, "prometheus-client"})  # The extra `metrics` is in no image.


def _licences(rows: str) -> str:
    """Return a row for each licence; what is not installed here is as in the `rows` there are."""
    before = {
        name: licence
        for licence, names in re.findall(r"^\| (.*) \| (.*) \|$", rows, re.MULTILINE)
        for name in names.split(", ")
    }
    packages: dict[str, list[str]] = defaultdict(list)
    for name in licensed():
        packages[_licence(name) or before.get(name, "not stated")].append(name)
    return "".join(f"| {each} | {', '.join(packages[each])} |\n" for each in sorted(packages))


def _licence(name: str) -> str | None:
    """Return what an installed package says; None: it is not installed, or says nothing."""
    try:
        about = metadata(name).json
    except PackageNotFoundError:
        return None
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in about.get("classifier", ())
        if each.startswith("License :: ")
    ]
    words = about.get("license_expression") or about.get("license") or " or ".join(classifiers)
    stated = str(words)
    return SPDX.get(stated, stated) or None


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text)
