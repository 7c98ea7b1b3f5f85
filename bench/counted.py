"""Real servers whose requests are counted; they are those of the tests."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import redis

from bench.bucket import STORE, create_bucket
from outlast.checkpoint.registers import open_register
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.register import Register

    Connect = Callable[[], Register]
    Count = Callable[[], Counter[str]]

# What counting itself sends.
ASKING = {"info", "hello", "client|setinfo", "client"}


@contextmanager
def measured(count: Count) -> Iterator[list[str]]:
    """Yield a list that holds, after the block, the requests and the seconds that it took."""
    cells: list[str] = []
    before, begun = count(), time.perf_counter()
    yield cells
    seconds = time.perf_counter() - begun
    made = count() - before
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(made.items()))
    cells += [kinds or "none", f"{seconds:.2f}"]


@contextmanager
def s3() -> Iterator[tuple[Connect, Count]]:
    """Yield what opens a register in an S3 bucket, and the requests that these made."""
    made = Counter[str]()

    def connect() -> Register:
        register: Any = open_register(STORE)
        events = register._client.meta.events  # noqa: SLF001 - what boto3 offers to count by
        events.register("before-call.s3", lambda model, **_: made.update([model.name]))
        return register

    with servers.ministack() as server:
        create_bucket(server)
        yield connect, made.copy


@contextmanager
def valkey(foreign_keys: int = 0) -> Iterator[tuple[Connect, Count]]:
    """Yield what opens a register in Redis, beside so many keys of others, and the commands."""
    with (
        servers.valkey("--enable-debug-command", "yes") as server,
        closing(redis.Redis.from_url(server.url)) as client,
    ):
        if foreign_keys:
            client.execute_command("DEBUG", "POPULATE", foreign_keys, "theirs")

        def count() -> Counter[str]:
            stats = client.info("commandstats")
            calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
            return Counter({name: n for name, n in calls.items() if name not in ASKING})

        yield lambda: open_register(f"{server.url}/0"), count
