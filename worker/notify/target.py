"""The targets of notices, and which of them the settings allow.

    sqs://queue-name               an SQS queue, or its https URL
    https://host/path              a webhook; http:// only where OUTLAST_NOTIFY_HOSTS names the host

No target writes files or runs commands: anyone who may write to the store could make workers do so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outlast.checkpoint.record_parts import MAX_TARGETS
from outlast.checkpoint.safe_text import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.worker.settings import Settings

MAX_CHARACTERS = 500
LOOPBACK = {"localhost", "127.0.0.1"}
FORMS = "sqs://queue-name, an SQS queue's https URL, or a webhook's: https://host/path"

_SQS_NAME = re.compile(r"sqs://[A-Za-z0-9_-]{1,80}(\.fifo)?")
_SQS_URL = re.compile(
    r"https://sqs[a-z-]*\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)/\d+/[\w-]+(\.fifo)?"
)
_WEB = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[\x21-\x7e]*)?")


class InvalidTarget(Exception):
    """The target of a notice cannot be used; nothing was stored. Correct it, or a setting."""


def checked_targets(targets: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Return `targets` without repetitions, if a worker with these settings can notify them.

    Raises:
        InvalidTarget: it cannot; one line names the target and the way out.
    """
    different = tuple(dict.fromkeys(targets))
    if len(different) > MAX_TARGETS:
        raise InvalidTarget(f"a job can notify {MAX_TARGETS} targets, not {len(different)}")
    for target in different:
        require_allowed(target, settings)
        if target == settings.queue:
            raise InvalidTarget(f"notify {target!r}: workers read that queue; give one of your own")
        if not is_sqs(target) and settings.notify_secret is None:
            raise InvalidTarget(
                f"notify {redacted(target)!r}: set OUTLAST_NOTIFY_SECRET, with which webhooks are "
                "signed, here and for the workers; `openssl rand -base64 32` makes one"
            )
    return different


def require_allowed(target: str, settings: Settings) -> None:
    """Check the form of a target, and that the settings allow it.

    Raises:
        InvalidTarget: it has another form, or is not allowed.
    """
    name = f"notify {redacted(target)[:100]!r}"
    if len(target) > MAX_CHARACTERS or not (is_sqs(target) or _WEB.fullmatch(target)):
        raise InvalidTarget(f"{name}: give {FORMS}; at most {MAX_CHARACTERS} characters")
    url, hosts = urlsplit(target), settings.notify_hosts
    allowed = {host.strip() for host in (hosts or "").split(",")}
    if hosts is not None and not {url.netloc, url.hostname} & allowed:
        raise InvalidTarget(f"{name}: OUTLAST_NOTIFY_HOSTS does not name {url.netloc!r}")
    if url.scheme == "http" and (hosts is None or url.hostname not in LOOPBACK):
        raise InvalidTarget(
            f"{name}: give https://; http:// is for localhost, where OUTLAST_NOTIFY_HOSTS names it"
        )


def is_sqs(target: str) -> bool:
    """Whether the target is a queue, by name or URL."""
    return bool(_SQS_NAME.fullmatch(target) or _SQS_URL.fullmatch(target))
