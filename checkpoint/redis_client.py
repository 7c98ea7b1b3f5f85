"""Opens a client of a Redis or Valkey server, a cluster, or the master that sentinels name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from outlast.checkpoint.redis_cluster import RedisCluster
from outlast.checkpoint.redis_connection import (
    Client,
    Connection,
    MasterConnection,
    MasterPool,
    Pool,
    TlsConnection,
    TlsMasterConnection,
)
from outlast.checkpoint.redis_url import REDIS_PORT, REDIS_URL, SENTINEL_PORT

if TYPE_CHECKING:
    import re

RedisClient = redis.Redis | RedisCluster

# Both can be set in the URL: redis://host?socket_timeout=20
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0  # and more for a large value: see `redis_connection`

SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}


def connect(url: str) -> RedisClient:
    """Return a client of what a URL of the form `REDIS_URL` names, with redis-py's URL options.

    Nothing is sent yet. Sentinels have two options of their own: `sentinel_username` and
    `sentinel_password`.

    Raises:
        ValueError, TypeError: the URL or an option is wrong.
    """
    match = REDIS_URL.fullmatch(url)
    if not match:
        raise ValueError("the URL has another form")
    options = _options(match)
    if match["cluster"]:
        return _cluster(match, options)
    options["retry"] = _retry()
    client = _master(match, options) if match["sentinel"] else _server(match, options)
    pool = client.connection_pool
    pool.connection_class(**pool.connection_kwargs)  # raises TypeError for an unknown option
    return client


def _options(match: re.Match[str]) -> dict[str, Any]:
    """Return the options of each connection, with user, password and database."""
    user = f"{match['user']}@" if match["user"] else ""
    url = f"redis://{user}host/{match['database'] or 0}{match['options'] or ''}"
    options = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}
    options |= parse_url(url)  # type: ignore[no-untyped-call] # redis-py's
    del options["host"]
    return options


def _server(match: re.Match[str], options: dict[str, Any]) -> redis.Redis:
    [(host, port)] = _addresses(match, REDIS_PORT)  # a ValueError if there are several
    options["connection_class"] = TlsConnection if _has_tls(match) else Connection
    return Client.from_pool(Pool(host=host, port=port, **options))


def _cluster(match: re.Match[str], options: dict[str, Any]) -> RedisCluster:
    if options.pop("db"):
        raise ValueError("a cluster has database 0 only")
    options["connection_class"] = TlsConnection if _has_tls(match) else Connection
    return RedisCluster(_addresses(match, REDIS_PORT), **options)


def _master(match: re.Match[str], options: dict[str, Any]) -> redis.Redis:
    theirs = {
        theirs: options.pop(name) for name, theirs in SENTINEL_OPTIONS.items() if name in options
    }
    theirs |= {
        name: value for name, value in options.items() if name.startswith(("socket_", "ssl_"))
    }
    has_tls = _has_tls(match)
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py's
        _addresses(match, SENTINEL_PORT),
        sentinel_kwargs={"ssl": has_tls, "retry": _retry(), **theirs},
    )
    client: redis.Redis = sentinel.master_for(  # type: ignore[no-untyped-call] # redis-py's
        match["master"],
        redis_class=Client,
        connection_pool_class=MasterPool,
        connection_class=TlsMasterConnection if has_tls else MasterConnection,
        **options,
    )
    return client


def _retry() -> Retry:
    # Once, for a connection that the server has closed. A time-out is not repeated: it has taken
    # long enough.
    return Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))


def _has_tls(match: re.Match[str]) -> bool:
    return match["scheme"] == "rediss"


def _addresses(match: re.Match[str], default_port: int) -> list[tuple[str, int]]:
    parts = [urlsplit(f"//{server}") for server in match["servers"].split(",")]
    if not all(part.hostname for part in parts):
        raise ValueError("a host is missing")
    return [(str(part.hostname), part.port or default_port) for part in parts]
