"""Signatures after the Standard Webhooks specification: https://www.standardwebhooks.com.

Receivers verify them with any library of that name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac


def signature(keys: list[bytes], notice_id: str, timestamp: int, body: str) -> str:
    """Return the header `webhook-signature`: one signature by each key."""
    content = f"{notice_id}.{timestamp}.{body}".encode()
    digests = (hmac.digest(key, content, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
