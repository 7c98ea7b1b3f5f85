"""The URL of a SQLite file, apart from the file: who has another store does without sqlite3."""

from __future__ import annotations

import re
from pathlib import Path

FORM = "sqlite:///relative/path or sqlite:////full/path"


def sqlite_path(url: str) -> Path | None:
    """Return the path in `sqlite:///path`; None: the URL has another form.

    Three slashes begin a relative path, four an absolute one; a leading `~` is the home folder.
    """
    path = url.removeprefix("sqlite:///")
    try:
        return Path(path).expanduser() if path not in {"", url} else None
    except RuntimeError:  # there is no user of that `~name`
        return None


def sqlite_hint(url: str) -> str:
    """Return what else to say of a URL that names no file but may be meant to; "" if it is not."""
    if url.startswith("sqlite:///~"):
        return "; its home folder is unknown: set HOME, or write sqlite:////full/path"
    is_meant = url.startswith(("sqlite:", "file:")) or re.fullmatch(r"[\w./~-]+", url)
    return f"; for a file write {FORM}" if is_meant else ""
