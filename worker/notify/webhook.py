"""Webhooks: an event by POST, signed, to a URL that may be anyone's."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outlast.worker.notify.contract import Gone, NotTold
from outlast.worker.notify.signing import signature

if TYPE_CHECKING:
    from outlast.worker.notify.notice import Event


def post(target: str, event: Event, *, keys: list[bytes], now: float, seconds: float) -> None:
    """Send the event to a webhook.

    Redirects are not followed, proxies not used, and what is answered is not read but for its
    status. `seconds` bounds each wait for the network.

    Raises:
        Gone: the receiver wants no more.
        NotTold: it did not answer, or with another status than 2xx.
    """
    place, timestamp = urlsplit(target), int(now)
    kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
    connection = kind(place.netloc, timeout=seconds)
    headers = {
        "content-type": "application/json",
        "user-agent": "outlast",
        "connection": "close",
        "webhook-id": event.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(keys, event.id, timestamp, event.body),
    }
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    try:
        connection.request("POST", path, event.body.encode(), headers)
        status = connection.getresponse().status
    # A host whose name cannot be written is a ValueError.
    except (OSError, HTTPException, ValueError) as error:
        raise NotTold(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if status == HTTPStatus.GONE:
        raise Gone(f"it answered {status}")
    if status not in range(200, 300):
        raise NotTold(f"it answered {status}")
