"""Where jobs and messages are if nobody has set a URL for them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

SLUG_CHARACTERS = 60


def default_store() -> str:
    """Return the URL of the file for jobs."""
    return f"sqlite:///{_data_folder() / 'outlast.db'}"


def default_queue(store: str) -> str:
    """Return the URL of a queue in which no other store's messages are.

    It is the store itself, where that can be a queue, too: a file, or a server of Redis. A bucket
    cannot: its queue is a file that is named after it.
    """
    if not store.startswith("s3:"):
        return store
    return f"sqlite:///{_data_folder() / 'queues' / _file_name(store)}"


def _data_folder() -> Path:
    import platformdirs  # here, as a worker with a store and a queue of its own does without

    try:
        return Path(platformdirs.user_data_path("outlast"))
    except RuntimeError:  # There is no home folder, which matters to who opens a file in it.
        return Path("~/.local/share/outlast")


def _file_name(store: str) -> str:
    """Return a name that says which bucket and prefix this is, and tells it from all others."""
    # A bucket's name is unique at one endpoint only.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    path = store.removeprefix("s3://").rstrip("/")
    identity = f"{endpoint.rpartition('@')[2].rstrip('/')} {path}"
    slug = re.sub(r"[^a-z0-9]+", "-", f"s3 {path}".lower())[:SLUG_CHARACTERS].strip("-")
    return f"{slug}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}.db"
