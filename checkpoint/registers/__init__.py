"""The stores that keep values, and the URL that selects one.

A new kind of store needs, beside its register and its form here: `doctor/store.py` and
`doctor/settings.py` to examine it, its variables in `doctor/environment.py`, and
its times in `costs/forecast.py` and its prices in `costs/prices.toml`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import InvalidStoreUrl
from outlast.checkpoint.safe_text import redacted
from outlast.checkpoint.sqlite_url import sqlite_path

if TYPE_CHECKING:
    from outlast.checkpoint.register import Register

FORMS = "sqlite:///path, redis://host:port/0, rediss://host:port/0 or s3://bucket/prefix"
REDIS = re.compile(r"rediss?://[^/?#]+(/\d*)?(\?[^#]*)?")
S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]+[a-z0-9])(/(?P<prefix>[^?#]*))?")


def open_register(url: str, *, read_only: bool = False) -> Register:
    """Return the register that a URL names; only the modules of its kind are imported.

    `sqlite:///path` (three slashes: relative, four: absolute; `~` is the home folder),
    `redis://…` and `rediss://…` (redis-py's URLs with their options), `s3://bucket/prefix`
    (region, endpoint and credentials are the AWS SDK's own settings). A file is opened immediately,
    and created where it is missing; a server is asked at the first call. With `read_only` a file is
    neither created nor changed, and a missing one is an empty store.

    Raises:
        InvalidStoreUrl: the URL has another form, or an unknown option.
        StoreUnavailable: the file cannot be opened.
    """
    if (path := sqlite_path(url)) is not None:
        from outlast.checkpoint.registers.sqlite import SqliteRegister

        return SqliteRegister(path, read_only=read_only)
    if REDIS.fullmatch(url):
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
    # In a password, each of / ? # ends the part of the URL that it should stand in.
    hint = "; percent-encode user name and password: %2F for /, %40 for @, …" if "@" in url else ""
    if url.startswith("sqlite:///~"):
        hint = ". Its home folder is unknown; set HOME, or OUTLAST_STORE=sqlite:////full/path"
    if url.startswith("valkey"):
        hint = "; write redis:// or rediss:// for Valkey"
    return InvalidStoreUrl(f"no store has the URL {redacted(url)!r}; use {FORMS}{hint}")
