"""The strip of parts in a real browser, beside a real worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.cli.dashboard.browser import skip_without_browser
from tests.cli.dashboard.test_strip import SUBMIT
from tests.cli.process import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.dashboard.browser import Viewer
    from tests.cli.process import Outlast, Process

skip_without_browser()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_strip_fills_and_is_accessible(
    scheme: str,
    outlast: Outlast,
    served: Callable[..., str],
    viewer: Callable[..., Viewer],
    start: Callable[..., Process],
) -> None:
    """Who watches a large job would see nothing move, or not be able to read it."""
    outlast(*SUBMIT[:3], "step_seconds=0.05", *SUBMIT[3:])
    page = viewer(color_scheme=scheme).page
    page.goto(f"{served()}jobs/big")
    page.get_by_text("Submitted").wait_for()
    start("worker")
    cells = page.locator(".strip[role=img] .done")
    until(lambda: cells.count() >= 1)
    page.get_by_role("link", name="part ").first.wait_for()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"]) for each in found] == []
    before = cells.count()
    until(lambda: cells.count() > before)
    page.get_by_label("One part, by its number").fill("0")
    page.get_by_role("button", name="Show its slices").click()
    page.get_by_role("heading", name="Part 0").wait_for()
    page.get_by_role("row").get_by_text("succeeded").wait_for()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"]) for each in found] == []
