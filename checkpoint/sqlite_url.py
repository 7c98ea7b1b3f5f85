"""The URL of a SQLite file, apart from the file: who has another store does without sqlite3."""

from __future__ import annotations

from pathlib import Path


def sqlite_path(url: str) -> Path | None:
    """Return the path in `sqlite:///path`; None: the URL has another form.

    Three slashes begin a relative path, four an absolute one; a leading `~` is the home folder.
    """
    path = url.removeprefix("sqlite:///")
    try:
        return Path(path).expanduser() if path not in {"", url} else None
    except RuntimeError:  # there is no user of that `~name`
        return None
