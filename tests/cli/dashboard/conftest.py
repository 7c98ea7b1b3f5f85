"""A dashboard to ask without a network, and one in a real browser."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from outlast.worker.dashboard.app import make_app
from outlast.worker.dashboard.guard import Keys
from outlast.worker.dashboard.live import Live
from outlast.worker.dashboard.serve import Address, serve
from tests.cli.dashboard.browser import Viewer, chromium
from tests.cli.dashboard.scene import busy_day
from tests.cli.process import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from outlast.worker.jobs.client import Client

URL = "http://127.0.0.1:8765"
TOKEN = "correct-horse-battery"


@pytest.fixture
def browser_of(client: Client) -> Callable[..., TestClient]:
    """Return what a browser does, short of showing anything, on a dashboard of its own."""

    def make(*, token: str | None = None, is_local: bool = True) -> TestClient:
        app = make_app(client, Keys(token, 8765), Live(), is_local=is_local)
        headers = {"Origin": URL}
        return TestClient(app, base_url=URL, headers=headers, follow_redirects=False)

    return make


@pytest.fixture
def day(client: Client) -> None:
    """Jobs in every state."""
    for record in busy_day(time.time()):
        client.jobs.submit(record)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """A real Chromium; while it is there, no other event loop can run in this thread."""
    with chromium() as browser:
        yield browser


class Stop:
    """What ends a server: the flag of a `Deadline`, for a thread, which no signal reaches."""

    reason: str | None = None


@pytest.fixture
def served(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Serve the test's store from a thread of this process and return the address."""
    monkeypatch.setattr("outlast.worker.dashboard.live.PERIOD_SECONDS", 0.2)
    stop, threads = Stop(), []

    def run(*, host: str = "127.0.0.1", token: str | None = None) -> str:
        urls: queue.Queue[str] = queue.Queue()
        options = {"stop": stop, "announce": urls.put}
        address = Address(host, 0, token)
        threads.append(threading.Thread(target=serve, args=[client, address], kwargs=options))
        threads[-1].start()
        return urls.get(timeout=PATIENCE_SECONDS).replace(host, "127.0.0.1")

    yield run
    stop.reason = "the test is over"
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture
def viewer(chrome: Browser) -> Iterator[Callable[..., Viewer]]:
    """Open an empty page; at the end no page may have met an error or another site's script."""
    opened: list[Viewer] = []

    def view(**options: object) -> Viewer:
        opened.append(Viewer(chrome.new_context(**options)))
        return opened[-1]

    yield view
    for each in opened:
        each.close()
        assert each.complaints == []
