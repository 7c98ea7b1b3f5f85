"""Opens each backend, empty, for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.stub import Stubber

from outlast.checkpoint.redis_client import connect
from outlast.worker.queues.sqs import SqsQueue
from tests.checkpoint.conftest import CLUSTERS, REAL_REDIS
from tests.worker.queues import backends
from tests.worker.queues.backends import URL, Backend, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMBEDDED = ["memory", "sqlite"]
SERVICES = ["sqs", "sqs-fifo", "fakeredis", *REAL_REDIS, *CLUSTERS]


@pytest.fixture(params=EMBEDDED + SERVICES)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each queue in turn."""
    return _open(request.param, request)


@pytest.fixture(params=EMBEDDED)
def embedded(request: pytest.FixtureRequest) -> Backend:
    """Each queue that counts visibility by our own clock."""
    return _open(request.param, request)


@pytest.fixture
def fifo(request: pytest.FixtureRequest) -> Backend:
    """The queue that drops duplicates."""
    return _open("sqs-fifo", request)


@pytest.fixture
def stubbed() -> Iterator[tuple[SqsQueue, Stubber]]:
    """A queue whose service answers what the test says."""
    queue = SqsQueue(URL)
    with queue._connection.call() as (client, _), Stubber(client) as stub:
        yield queue, stub
        stub.assert_no_pending_responses()


def _open(name: str, request: pytest.FixtureRequest) -> Backend:
    backend = _opened(name, request)
    request.addfinalizer(backend.close)
    return backend


def _opened(name: str, request: pytest.FixtureRequest) -> Backend:
    if name == "memory":
        return backends.memory(Clock())
    if name == "sqlite":
        tmp_path: Path = request.getfixturevalue("tmp_path")
        return backends.sqlite(tmp_path / "outlast.db", Clock())
    if name == "fakeredis":
        return backends.fakeredis()
    if name in REAL_REDIS:
        server = request.getfixturevalue(f"{name.partition('-')[0]}_server")
        return backends.redis_like(connect(server.url))
    if name in CLUSTERS:
        return backends.redis_like(connect(request.getfixturevalue(name).url), many=200)
    url: str = request.getfixturevalue("ministack").url
    request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", url)
    return backends.sqs(url, ".fifo" if name == "sqs-fifo" else "")
