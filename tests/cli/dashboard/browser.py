"""A real Chromium without a window."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage

PATIENCE_MS = 20_000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It runs as root in containers, and has nothing to ask of any network.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowser(Exception):
    """This machine has neither Chromium nor Chrome. Install one to test the dashboard."""


def executable() -> str:
    """Return the path of the machine's Chromium or Chrome, or of the one playwright downloaded.

    Raises:
        NoBrowser: there is none.
    """
    if path := os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None):
        return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if Path(path).exists():
        return path
    raise NoBrowser(
        "no browser for the dashboard's tests: install Chromium or Chrome, or run "
        "`playwright install chromium`"
    )


def skip_without_browser() -> None:
    """Skip the module that calls it on a machine without a browser; where CI is set, fail it.

    Raises:
        NoBrowser: CI is set.
    """
    try:
        executable()
    except NoBrowser as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing), allow_module_level=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser; raises as `executable`."""
    path = executable()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


class Viewer:
    """Someone who looks at pages.

    Attributes:
        page: what they look at.
        complaints: what the browser found wrong with it.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self._context = context
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("console", self._heard)

    def close(self) -> None:
        """Close the page."""
        self._context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)
