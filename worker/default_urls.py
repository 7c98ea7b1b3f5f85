"""The store and the queue of a person who sets none: files in their data folder."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

REDIS = re.compile(
    r"(?:[^/?#]*@)?(?P<host>[^/?#@:]+|\[[^/?#@]+\])(?::(?P<port>\d+))?"
    r"(?:/(?P<database>\d*))?(?:\?(?P<options>.*))?"
)
REDIS_PORT = "6379"
SLUG_CHARACTERS = 60


def default_store() -> str:
    """Return the URL of the file for jobs."""
    return f"sqlite:///{_data_folder() / 'outlast.db'}"


def default_queue(store: str) -> str:
    """Return the URL of a file in which no other store's messages are.

    For a store in a file it is that file. For others it is named after the store: the same for
    every user, password and option, none of which is in the name.
    """
    if store.startswith("sqlite:"):
        return store
    return f"sqlite:///{_data_folder() / 'queues' / _file_name(store)}"


def _data_folder() -> Path:
    import platformdirs  # here, as a worker with a store and a queue of its own does without

    try:
        return Path(platformdirs.user_data_path("outlast"))
    except RuntimeError:  # There is no home folder, which matters to who opens a file in it.
        return Path("~/.local/share/outlast")


def _file_name(store: str) -> str:
    scheme, _, rest = store.partition("://")
    slug, identity = _s3(rest) if scheme == "s3" else _redis(rest)
    slug = re.sub(r"[^a-z0-9]+", "-", f"{scheme} {slug}".lower())[:SLUG_CHARACTERS].strip("-")
    return f"{slug}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}.db"


def _s3(rest: str) -> tuple[str, str]:
    """Return what to call this bucket and prefix, and what tells it from all others."""
    # A bucket's name is unique at one endpoint only.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    path = rest.rstrip("/")
    return path, f"{endpoint.rpartition('@')[2].rstrip('/')} {path}"


def _redis(rest: str) -> tuple[str, str]:
    """Return what to call this database, and what tells it from all others."""
    match = REDIS.fullmatch(rest)
    if match is None:  # It is refused when it is opened; a part of it may be a password.
        return "", rest
    option = re.search(r"(?:^|&)db=(\d+)", match["options"] or "")
    number = option[1] if option else match["database"] or "0"
    host = re.sub(r"^(127\.0\.0\.1|\[::1\])$", "localhost", match["host"].lower())
    database = f"{host} {match['port'] or REDIS_PORT} {number}"
    return database, database
