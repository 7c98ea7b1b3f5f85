"""The backends that the one conformance suite runs against."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import boto3
import fakeredis
import pytest
import redis

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.registers.redis import RedisRegister
from tests import servers
from tests.fakes import FakeClock, MemoryRegister

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outlast.checkpoint.register import Register
    from tests.redis_groups import Group
    from tests.servers import Server

# No skip where redis-server is missing: the same suite runs on Valkey, which comes by pip.
REAL_REDIS = ["valkey", *(["redis-server"] if servers.has_redis() else [])]
S3_STORES = ["ministack", "seaweedfs"]
CLUSTERS = ["lone_node", "three_nodes"]
BACKENDS = ["sqlite", "fakeredis", *REAL_REDIS, *CLUSTERS, *S3_STORES]
BUCKET = "outlast-tests"


@dataclass(frozen=True)
class Backend:
    """An empty store; each `open` is a register as one more worker would have it."""

    name: str
    open: Callable[[], Register]
    url: str


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every backend in turn."""
    with ExitStack() as opened:
        yield make_backend(request.param, request, opened)


@pytest.fixture
def register(backend: Backend) -> Register:
    """One register of the backend."""
    return backend.open()


@pytest.fixture
def memory() -> MemoryRegister:
    """An empty store in this process."""
    return MemoryRegister()


@pytest.fixture
def jobs(memory: MemoryRegister) -> JobStore:
    """The jobs in it, at second 5."""
    return JobStore(memory, clock=FakeClock(5.0))


def make_backend(name: str, request: pytest.FixtureRequest, opened: ExitStack) -> Backend:
    """Return the backend with an empty store; what it opens is closed with `opened`."""
    if name == "fakeredis":
        server = fakeredis.FakeServer()
        return Backend(name, lambda: RedisRegister(fakeredis.FakeRedis(server=server)), "")
    url = _empty_store(name, request)
    return Backend(name, lambda: opened.enter_context(closing(open_register(url))), url)


def _empty_store(name: str, request: pytest.FixtureRequest) -> str:
    if name == "sqlite":
        folder = cast("Path", request.getfixturevalue("tmp_path"))
        return f"sqlite:///{folder}/new-folder/outlast.db"
    if name in S3_STORES:
        server = cast("Server", request.getfixturevalue(name))
        request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", server.url)
        create_bucket(BUCKET)
        return f"s3://{BUCKET}/{uuid.uuid4()}"
    if name in CLUSTERS:
        group = cast("Group", request.getfixturevalue(name))
        group.flush()
        return group.url
    server = request.getfixturevalue("valkey_server" if name == "valkey" else "redis_server")
    with closing(redis.Redis.from_url(server.url)) as client:
        client.flushall()
    return f"{server.url}/0"


def create_bucket(name: str) -> None:
    """Create the bucket at AWS_ENDPOINT_URL where it is missing."""
    with closing(boto3.client("s3")) as client:
        if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name)
