"""What Redis's and Valkey's errors say, and what an operator can do about each: one clause."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import redis
from redis.exceptions import ClusterError, RedisClusterException
from redis.sentinel import MasterNotFoundError

from outlast.checkpoint.redis_url import SENTINEL_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

# A server that refuses a smaller value does not refuse it for its size.
LARGE_BYTES = 1 << 20

SIGN_IN = "check the user name and the password, percent-encoded as they are in a URL"
# Without a scheme, or the line would show it masked.
SIGN_THE_URL = (
    "write user:password@ or, for the default user, :password@ before the host in the URL"
)
ALLOW = "allow this user the commands and keys outlast:*"
REACH = "check that the server runs and that the address is right"
TAKES_TLS = ", or write rediss:// if it takes TLS only"
TAKES_NO_TLS = ", or write redis:// if it takes no TLS"
IS_CLUSTER = "this is a node of a cluster: write redis+cluster://, or rediss+cluster:// with TLS"
DATABASE = "choose a database that the server has; of a cluster that is 0"
MOVING = "wait until its slots have moved, or a replica has taken over: see CLUSTER INFO"
ROOM = "give the server more memory, or make room: outlast prune --older-than 30d"

UNSIGNED = "NOAUTH Authentication required"
# In place of a server's own words, which are about commands or repeat the address.
REASONS = (
    (r"HELLO must be called with the client already authenticated.*", UNSIGNED),
    (r"Authentication required\.?", UNSIGNED),
    (r"Error -?\d+ connecting to \S+?\.? (?P<reason>.*)", r"\g<reason>"),
    (r"Error while reading from \S+ ?: \(\d+, '(?P<reason>[^']*)'\)", r"\g<reason>"),
    # It goes on with one object of Python for each sentinel.
    (r"(?P<reason>No master found for .*?) : .*", r"\g<reason>"),
)
ADVICE_BY_TEXT = (
    (UNSIGNED, SIGN_THE_URL),
    ("without any password configured", "take the password out of the URL, or give the server one"),
    ("ACL failure in script", ALLOW),
    (
        "WRONGTYPE",
        "choose a database of your own: another program has keys of the same names here",
    ),
    ("DB index is out of range", DATABASE),
    ("SELECT is not allowed in cluster mode", DATABASE),
    (
        "cluster support disabled",
        "this server is not part of a cluster: write redis://, or rediss:// with TLS",
    ),
    (
        "unknown command 'SENTINEL",
        f"name the sentinels, mostly at port {SENTINEL_PORT}, not the servers",
    ),
    ("certificate is not valid for", "write the host as its certificate names it"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "append ?ssl_ca_certs=/path/of/ca.pem to the URL, for the authority of its certificate",
    ),
    ("[SSL", f"{REACH}{TAKES_NO_TLS}"),
)
# The first class that matches counts.
ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (redis.AuthenticationError, SIGN_IN),
    (redis.exceptions.AuthorizationError, SIGN_IN),
    (redis.exceptions.NoPermissionError, ALLOW),
    (redis.ReadOnlyError, "connect to the primary, not to a replica"),
    (redis.exceptions.MasterDownError, "wait until this replica has a primary, or connect to that"),
    (redis.exceptions.AskError, IS_CLUSTER),
    (redis.exceptions.ClusterCrossSlotError, IS_CLUSTER),
    (ClusterError, IS_CLUSTER),
    (redis.BusyLoadingError, "wait until the server has loaded its data"),
    (MasterNotFoundError, "check the name, and that the sentinels run and see this master"),
    (redis.ConnectionError, REACH),
    (redis.TimeoutError, REACH),
    (redis.RedisError, "see the server's log"),
)


def cause_of(error: Exception) -> Exception:
    """Return what made redis-py say that it cannot use a cluster."""
    while isinstance(error, RedisClusterException):
        cause = error.__cause__ or error.__context__
        if not isinstance(cause, Exception):
            break
        error = cause
    return error


def reason_of(error: Exception) -> str:
    """Return what happened, without what a line says of the server anyway."""
    text = f"{error}".rstrip(".")
    for form, words in REASONS:
        if match := re.fullmatch(form, text):
            return match.expand(words)
    return text


def is_full(error: Exception) -> bool:
    """Whether the server has no memory left."""
    # Before Redis 7, what a command answers in a script is quoted by an error without a class.
    return isinstance(error, redis.exceptions.OutOfMemoryError) or "-OOM " in str(error)


def advice_for(
    error: Exception, *, sent_bytes: int, is_cluster: bool, has_tls: bool, is_first: bool
) -> str:
    """Return what to do about an error of a command that sent so many bytes.

    `is_first`: the server has not answered this client yet.
    """
    if is_full(error):
        return ROOM
    reason = reason_of(error)
    if advice := next((advice for text, advice in ADVICE_BY_TEXT if text in reason), None):
        return advice
    if is_cluster and isinstance(error, (ClusterError, RedisClusterException)):
        return MOVING
    if any(isinstance(each, socket.gaierror) for each in _origins(error)):
        return "check the host's name, and that it is known in this network"
    advice = next((advice for kind, advice in ADVICE if isinstance(error, kind)), REACH)
    if advice == REACH and is_first and _may_be_for_tls(error, has_tls=has_tls):
        advice += TAKES_NO_TLS if has_tls else TAKES_TLS
    if sent_bytes > LARGE_BYTES and isinstance(error, redis.ConnectionError):
        # The server closes the connection, and what it says of the reason is not read.
        advice += f", and that it takes {sent_bytes:,} bytes at once (proto-max-bulk-len)"
    return advice


def _may_be_for_tls(error: Exception, *, has_tls: bool) -> bool:
    """Whether a server may say this to who speaks TLS and should not, or the reverse."""
    is_closed = any(isinstance(each, ConnectionResetError) for each in _origins(error))
    is_late = has_tls and isinstance(error, redis.TimeoutError)
    return is_closed or is_late or "closed by server" in str(error)


def _origins(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from or after."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__
