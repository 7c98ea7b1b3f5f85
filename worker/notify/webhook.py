"""Webhooks: a signed notice, by POST, to a URL that may be anyone's."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from outlast.worker.notify.errors import Gone, NotDelivered
from outlast.worker.notify.signing import signature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from outlast.worker.notify.notice import Notice

# Of an answer up to the end of its headers, interim answers included.
MAX_ANSWER_BYTES = 64 << 10

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)\b")


def post(target: str, notice: Notice, *, keys: list[bytes], now: float, seconds: float) -> None:
    """Send the notice to a webhook within `seconds`, from the name's look-up to the answer.

    Redirects are not followed and proxies not used. The answer is read up to the end of its
    headers, MAX_ANSWER_BYTES at most. Only a look-up that hangs may take longer than `seconds`;
    the resolver ends it.

    Raises:
        Gone: the receiver accepts no more notices.
        NotDelivered: it did not answer, or with another status than 2xx.
    """
    limit = time.monotonic() + seconds
    url, timestamp = urlsplit(target), int(now)
    headers = {
        "content-type": "application/json",
        "user-agent": "outlast",
        "connection": "close",
        "webhook-id": notice.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(keys, notice.id, timestamp, notice.body),
    }
    try:
        port = (443 if url.scheme == "https" else 80) if url.port is None else url.port
        # Looked up here, as asyncio's threads for that hold up the end of the process.
        found = socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
        addresses = [(str(address[0]), port) for *_, address in found]
        request = _request(url, headers, notice.body.encode())
        status = asyncio.run(_exchange(url, addresses, request, limit - time.monotonic()))
    except TimeoutError:
        raise NotDelivered(f"no answer within {seconds:.3g} s") from None
    # A host name that cannot be encoded, and a port above 65535, are a ValueError.
    except (OSError, ValueError) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error
    if status == HTTPStatus.GONE:
        raise Gone(f"it answered {status}")
    if status not in range(200, 300):
        raise NotDelivered(f"it answered {status}")


def _request(url: SplitResult, headers: dict[str, str], body: bytes) -> bytes:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [f"POST {path} HTTP/1.1", f"host: {url.netloc}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


async def _exchange(
    url: SplitResult, addresses: list[tuple[str, int]], request: bytes, seconds: float
) -> int:
    """Send the request to the first address that accepts a connection; return the status."""
    async with asyncio.timeout(seconds):
        reader, writer = await _connect(url, addresses)
        try:
            writer.write(request)
            return await _status(reader)
        finally:
            writer.transport.abort()


async def _connect(
    url: SplitResult, addresses: list[tuple[str, int]]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = url.hostname if url.scheme == "https" else None
    refusal = OSError("its name has no address")
    for host, port in addresses:
        try:
            return await asyncio.open_connection(
                host, port, ssl=True if name else None, server_hostname=name, limit=MAX_ANSWER_BYTES
            )
        except OSError as error:
            refusal = error
    raise refusal


async def _status(reader: asyncio.StreamReader) -> int:
    """Return the status of the answer, which may follow interim ones."""
    lines, status = _lines(reader), 0
    while status < HTTPStatus.OK:
        match = _STATUS.match(await anext(lines))
        if match is None:
            raise NotDelivered("its answer is not HTTP/1.1")
        status = int(match[1])
        while (await anext(lines)).strip():
            pass  # a header
    return status


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    left = MAX_ANSWER_BYTES
    while left > 0:
        try:
            line = await reader.readline()
        except ValueError:  # it is longer than the reader's limit
            break
        if not line:
            raise NotDelivered("it closed the connection before the end of its answer")
        left -= len(line)
        yield line
    raise NotDelivered(f"its answer's headers are longer than {MAX_ANSWER_BYTES:,} bytes")
