"""A store, a queue and installed kernels, for the tests of programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
import redis

from tests.runtimes.system import make_system

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.runtimes.system import System
    from tests.servers import Server


@pytest.fixture
def store(request: pytest.FixtureRequest, ministack: Server, valkey_server: Server) -> str:
    """The URL of an empty store on a real server: "redis", or "s3" where a test asks for it."""
    if getattr(request, "param", "redis") == "redis":
        url = f"{valkey_server.url}/7"
        with redis.Redis.from_url(url) as connection:
            connection.flushdb()
        return url
    s3 = boto3.client("s3", endpoint_url=ministack.url)
    s3.create_bucket(Bucket="jobs")
    s3.close()
    return "s3://jobs/test"


@pytest.fixture
def system(
    tmp_path: Path, store: str, ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[System]:
    """A store, an SQS queue and two kernels, in `env` for programs and set for the test."""
    system = make_system(tmp_path, store, ministack.url, monkeypatch)
    yield system
    system.close()
