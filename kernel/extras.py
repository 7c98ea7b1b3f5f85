"""What to type for an extra of Outlast's, in the way in which Outlast itself was installed."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def how_to_install(extra: str) -> str:
    """Return the command that adds the extra to this installation, from where that came.

    An index of packages may have another version of Outlast, or none. pip notes what it took from
    elsewhere: https://packaging.python.org/en/latest/specifications/direct-url/
    """
    try:
        origin = json.loads(distribution("outlast").read_text("direct_url.json") or "{}")
        words = _words(origin, extra)
    except (PackageNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        words = None  # Whoever copied it here left no note that can be read.
    return shlex.join(["pip", "install", *(words or [f"outlast[{extra}]"])])


def _words(origin: dict[str, Any], extra: str) -> list[str] | None:
    """Return what to tell pip by its note of the origin; None: an index of packages has it."""
    if not origin:
        return None
    url = origin["url"]
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return [f"outlast[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    path = Path(unquote(urlsplit(url).path))
    if url.startswith("file:") and not path.exists():
        return None
    if "dir_info" not in origin:
        return [f"outlast[{extra}] @ {url}"]
    is_editable = origin["dir_info"].get("editable")
    return [*(["--editable"] if is_editable else []), f"{path}[{extra}]"]
