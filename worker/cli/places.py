"""Which variable an error of the store, the queue or the place of arrays is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.safe_text import redacted

if TYPE_CHECKING:
    from outlast.worker.settings import Settings


def with_variable(error: Exception) -> str:
    """Return what an error says, with the variable that has the place it is about, if it is one."""
    from outlast.checkpoint.errors import StoreUnavailable, UnknownJob
    from outlast.worker.queues.contract import QueueUnavailable
    from outlast.worker.settings import InvalidSettings, read_settings

    if not (isinstance(error, (StoreUnavailable, QueueUnavailable)) or type(error) is UnknownJob):
        return str(error)
    try:
        settings = read_settings()
    except InvalidSettings:
        return str(error)
    if isinstance(error, UnknownJob):
        return f"{error}: {redacted(settings.store)} ({_variable(settings, 'store')})"
    fields = ("queue",) if isinstance(error, QueueUnavailable) else ("store", "blobs")
    for field in fields:
        url = getattr(settings, field)
        # An option, or a program, may have named another place.
        if url and _address(url) in str(error):
            return f"{error} ({_variable(settings, field)})"
    return str(error)


def _variable(settings: Settings, field: str) -> str:
    """Return the variable that has the URL of a field, or what to set where that is a default."""
    if field in settings.model_fields_set:
        return f"OUTLAST_{field.upper()}"
    if field == "queue" and settings.queue == settings.store:
        return _variable(settings, "store")
    return f"the default: set OUTLAST_{field.upper()} for another one"


def _address(url: str) -> str:
    """Return the part of a URL by which messages name the place."""
    from outlast.checkpoint.redis_url import REDIS_URL
    from outlast.checkpoint.registers import S3
    from outlast.checkpoint.sqlite_url import sqlite_path

    if path := sqlite_path(url):
        return str(path)
    if match := REDIS_URL.fullmatch(url):
        first: str = match["servers"].split(",")[0]
        return first
    if match := S3.fullmatch(url):
        return f"s3://{match['bucket']}"
    return redacted(url)
