"""Signatures after the Standard Webhooks specification: https://www.standardwebhooks.com.

Receivers verify them with any library of that name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

# The specification's limits for a secret, before base64.
SECRET_BYTES = range(24, 65)


def keys_of(secret: str) -> list[bytes]:
    """Return the keys in OUTLAST_NOTIFY_SECRET: one, or several while the secret is replaced.

    Each is the base64 of 24 to 64 bytes, with or without `whsec_` before it; spaces separate them.

    Raises:
        ValueError: the secret has another form; the message does not quote it.
    """
    keys = []
    for word in secret.split():
        try:
            key = base64.b64decode(word.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if len(key) not in SECRET_BYTES:
            raise ValueError("give the base64 of 24 to 64 bytes: `openssl rand -base64 32`")
        keys.append(key)
    if not keys:
        raise ValueError("it is empty")
    return keys


def signature(keys: list[bytes], notice_id: str, timestamp: int, body: str) -> str:
    """Return the header `webhook-signature`: one signature by each key."""
    content = f"{notice_id}.{timestamp}.{body}".encode()
    digests = (hmac.digest(key, content, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
