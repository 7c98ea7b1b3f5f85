"""Foreign text in a form that is safe to store and to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

# In a text: what begins a URL up to its last @, and a query without what ends the sentence.
USER = re.compile(r"(\w://)\S*@")
QUERY = re.compile(r"(\w://[^\s?]*)\?\S*?(?=[\"'<>)\]};:,.]*(?:\s|$))")


def printable(text: str, keep: str = "") -> str:
    """Return `text` with every character escaped that is not printable, except those in `keep`.

    A terminal or a page could obey such a character.
    """
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def one_line(text: str, limit: int) -> str:
    """Return `text` on one line of `limit` characters at most."""
    return printable(" ".join(text.split())[:limit])[:limit]


def first_error(error: ValidationError) -> str:
    """Return pydantic's first complaint: "limits.max_stalls: Input should be …"."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def redacted(url: str) -> str:
    """Return the URL for a message, without the parts that may be secret: user and options.

    This holds for a text that is almost a URL, too, such as one where a slash is missing.
    """
    masked = re.sub(r"^([\w+]+:/*)?.*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"\?.*", "?***", masked, flags=re.DOTALL)


def without_secrets(text: str) -> str:
    """Return a text from elsewhere with each URL in it `redacted`."""
    return QUERY.sub(r"\1?***", USER.sub(r"\1***@", text))


def cause_to_show(error: Exception) -> Exception | None:
    """Return the error as the cause of another; None: a traceback would show a secret in its text.

    RunPod stores a traceback with the job, and others may log it.
    """
    return error if without_secrets(str(error)) == str(error) else None
