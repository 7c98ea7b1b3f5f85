"""A store, a queue and an installed kernel, for the programs under test and for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import redis

from outlast.worker.jobs.client import Client
from tests.kernels import install
from tests.runtimes.event_source import EventSource, make_queue
from tests.runtimes.kernels import Adder, Sharer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outlast.checkpoint.record import Record
    from tests.servers import Server


@dataclass
class System:
    """What all workers of one test share."""

    folder: Path
    env: dict[str, str]
    client: Client
    endpoint: str
    queue_url: str
    sources: list[EventSource]

    def source(self, invoke: Callable[[Any], Any]) -> EventSource:
        """Return what feeds the queue's messages to a function."""
        self.sources.append(EventSource(self.endpoint, self.queue_url, invoke))
        return self.sources[-1]

    def record(self, job_id: str) -> Record:
        """Return the job."""
        return self.client.status(job_id)


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
    queue_url = make_queue(ministack.url)
    install(tmp_path, Sharer)
    env = {
        "OUTLAST_STORE": store,
        "OUTLAST_QUEUE": queue_url,
        "AWS_ENDPOINT_URL": ministack.url,
        "PYTHONPATH": install(tmp_path, Adder),
    }
    for name in ("OUTLAST_STORE", "OUTLAST_QUEUE", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, env[name])
    monkeypatch.syspath_prepend(str(tmp_path))
    system = System(tmp_path, env, Client(), ministack.url, queue_url, [])
    yield system
    for source in system.sources:
        source.close()
