"""The URLs of Redis: a server, a cluster of them, or the one that sentinels know as the master."""

from __future__ import annotations

import re

# The name is that of a queue, behind a database.
REDIS_URL = re.compile(
    r"(?P<scheme>rediss?)(?:(?P<cluster>\+cluster)|(?P<sentinel>\+sentinel))?"
    r"://(?:(?P<user>[^/?#]*)@)?(?P<servers>[^/?#@]+)"
    r"(?(sentinel)/(?P<master>[^/?#]+))"
    r"(?:/(?P<database>(?(cluster)0|\d+)?)(?:(?<=\d)/(?P<name>[A-Za-z0-9._-]+))?)?"
    r"(?P<options>\?[^#]*)?"
)
REDIS_PORT, SENTINEL_PORT = 6379, 26379  # where a URL names none
REDIS_FORMS = (
    "redis://host:port/0, redis+cluster://host:port, redis+sentinel://host:port,host:port/master "
    "(rediss… with TLS)"
)

_SERVER = r"rediss?(\+cluster)?://([^/?#@]*@)?[^/?#@]+"

# The first form that fits counts.
HINTS = (
    (r"valkey.*", "write redis:// or rediss:// for Valkey"),
    (
        r"rediss?\+cluster://[^/?]+(/\d+.*|.*[?&]db=.*)",
        "a cluster has database 0 only",
    ),
    (r"rediss?\+sentinel://[^/?]+/?(\?.*)?", "name the master behind the sentinels"),
    (
        r"rediss?://[^/?]*,.*",
        "write redis+cluster:// or redis+sentinel:// for several hosts",
    ),
    (rf"{_SERVER}/[^0-9?@][^@]*", "the database is a number"),
    (
        rf"{_SERVER}/\d+/[^@]*",
        "only a queue has a name behind the database, of letters, digits and . _ -",
    ),
    (rf"{_SERVER}:(?!\d{{1,5}}(/\d*)?\?)[^/?#@]*([/?][^@]*)?", "the port is a number up to 65535"),
    (
        r"rediss?[^@?]*(@[^@?]*)?\?[^@]*",
        "redis-py has no such option as stands behind the ?, or not with this value",
    ),
    # In a password, each of / ? # ends the part of the URL that it should stand in.
    (r"rediss?\b.*@.*", "percent-encode user name and password: %2F for /, %40 for @, …"),
)


def redis_hint(url: str) -> str:
    """Return what else to say of a URL that is none of these; "" if nothing is known."""
    return next((f"; {hint}" for form, hint in HINTS if re.fullmatch(form, url)), "")
