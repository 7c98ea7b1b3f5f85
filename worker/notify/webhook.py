"""Webhooks: a signed notice, by POST, to a URL that may be anyone's."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outlast.worker.notify.errors import Gone, NotDelivered
from outlast.worker.notify.signing import signature

if TYPE_CHECKING:
    from outlast.worker.notify.notice import Notice


def post(target: str, notice: Notice, *, keys: list[bytes], now: float, seconds: float) -> None:
    """Send the notice to a webhook.

    Redirects are not followed and proxies not used; of the answer only the status is read.
    `seconds` limits each wait for the network.

    Raises:
        Gone: the receiver accepts no more notices.
        NotDelivered: it did not answer, or with another status than 2xx.
    """
    url, timestamp = urlsplit(target), int(now)
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.netloc, timeout=seconds)
    headers = {
        "content-type": "application/json",
        "user-agent": "outlast",
        "connection": "close",
        "webhook-id": notice.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(keys, notice.id, timestamp, notice.body),
    }
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection.request("POST", path, notice.body.encode(), headers)
        status = connection.getresponse().status
    # A host name that cannot be encoded is a ValueError.
    except (OSError, HTTPException, ValueError) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if status == HTTPStatus.GONE:
        raise Gone(f"it answered {status}")
    if status not in range(200, 300):
        raise NotDelivered(f"it answered {status}")
