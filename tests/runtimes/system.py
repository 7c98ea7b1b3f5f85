"""What the programs under test share with each other and with the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outlast.worker.jobs.client import Client
from tests.kernels import install
from tests.runtimes.event_source import EventSource, make_queue
from tests.runtimes.kernels import Adder, Sharer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from outlast.checkpoint.record import Record


@dataclass
class System:
    """What all workers of one test share."""

    folder: Path
    env: dict[str, str]
    client: Client
    endpoint: str
    queue_url: str
    sources: list[EventSource] = field(default_factory=list)

    def source(self, invoke: Callable[[Any], Any]) -> EventSource:
        """Return what feeds the queue's messages to a function."""
        self.sources.append(EventSource(self.endpoint, self.queue_url, invoke))
        return self.sources[-1]

    def record(self, job_id: str) -> Record:
        """Return the job."""
        return self.client.status(job_id)

    def close(self) -> None:
        """Feed nothing any longer."""
        for source in self.sources:
            source.close()


def make_system(folder: Path, store: str, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> System:
    """Make a queue at the endpoint and install two kernels in the folder, for this process, too."""
    queue_url = make_queue(endpoint)
    install(folder, Sharer)
    env = {
        "OUTLAST_STORE": store,
        "OUTLAST_QUEUE": queue_url,
        "AWS_ENDPOINT_URL": endpoint,
        "PYTHONPATH": install(folder, Adder),
    }
    for name in ("OUTLAST_STORE", "OUTLAST_QUEUE", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, env[name])
    monkeypatch.syspath_prepend(str(folder))
    return System(folder, env, Client(), endpoint, queue_url)
