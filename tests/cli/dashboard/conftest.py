"""A dashboard to ask without a network, and one in a real browser."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from tests.cli.dashboard.browser import Viewer, chromium
from tests.cli.dashboard.scene import busy_day
from worker.dashboard.app import make_app
from worker.dashboard.guard import Keys
from worker.dashboard.live import Live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.cli.process import Process
    from worker.client import Client

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


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """A real Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def serve(start: Callable[..., Process]) -> Callable[..., str]:
    """Start a dashboard of the test's store and return its address."""

    def run(*words: str) -> str:
        return start("dashboard", "--port", "0", *words).await_out(r"http://\S+/")[0]

    return run


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
