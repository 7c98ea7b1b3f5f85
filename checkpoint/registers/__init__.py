"""The stores that keep values, and the URL that selects one.

A new kind of store needs, beside its register and its form here: `doctor/store.py` and
`doctor/settings.py` to examine it, its variables in `doctor/environment.py`, and
its times in `costs/forecast.py` and its prices in `costs/prices.toml`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import InvalidStoreUrl
from outlast.checkpoint.redis_url import REDIS_FORMS, REDIS_URL, redis_hint
from outlast.checkpoint.safe_text import redacted
from outlast.checkpoint.sqlite_url import sqlite_hint, sqlite_path

if TYPE_CHECKING:
    from outlast.checkpoint.register import Register

FORMS = f"sqlite:///path, {REDIS_FORMS} or s3://bucket/prefix"
S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]+[a-z0-9])(/(?P<prefix>[^?#]*))?")


def open_register(url: str, *, read_only: bool = False) -> Register:
    """Return the register that a URL names; only the modules of its kind are imported.

    `sqlite:///path` (three slashes: relative, four: absolute; `~` is the home folder),
    `redis://…`, `redis+cluster://…` and `redis+sentinel://…`, each also with TLS as `rediss…`
    (redis-py's URLs with their options; see `REDIS_URL`), `s3://bucket/prefix`
    (region, endpoint and credentials come from boto3's own settings). A file is opened immediately,
    and created where it is missing; a server is asked at the first call. With `read_only` a file is
    neither created nor changed, and a missing one is an empty store.

    Raises:
        InvalidStoreUrl: the URL has another form, or an unknown option.
        StoreUnavailable: the file cannot be opened.
    """
    if (path := sqlite_path(url)) is not None:
        from outlast.checkpoint.registers.sqlite import SqliteRegister

        return SqliteRegister(path, read_only=read_only)
    if (match := REDIS_URL.fullmatch(url)) and not match["name"]:
        return _redis(url)
    if match := S3.fullmatch(url):
        from outlast.checkpoint.registers.s3 import S3Register  # botocore takes 0.2 s

        return S3Register(match["bucket"], match["prefix"] or "")
    raise _invalid(url)


def _redis(url: str) -> Register:
    from outlast.checkpoint.registers.redis import RedisRegister  # redis takes 0.1 s

    try:
        return RedisRegister.from_url(url)
    except (ValueError, TypeError):
        # Without the cause: it may quote a part of the password.
        raise _invalid(url) from None


def _invalid(url: str) -> InvalidStoreUrl:
    hint = redis_hint(url) or sqlite_hint(url)
    return InvalidStoreUrl(
        f"no store has the URL {redacted(url)!r} (OUTLAST_STORE); use {FORMS}{hint}"
    )
