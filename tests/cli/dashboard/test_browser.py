"""The dashboard in a real browser, beside real workers."""

from __future__ import annotations

import re
import signal
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.status import Status
from tests.cli.dashboard.browser import skip_without_browser
from tests.cli.dashboard.conftest import TOKEN
from tests.cli.dashboard.test_pages import hostile
from tests.cli.process import until
from tests.records import changed

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from outlast.worker.jobs.client import Client
    from tests.cli.dashboard.browser import Viewer
    from tests.cli.process import Ended, Process

skip_without_browser()

STEPS, STEP_SECONDS = 4_000, 0.01
SOON_SECONDS = 20.0
IS_LIVE = "#pulse:not([hidden])"


def submit(client: Client, job_id: str) -> str:
    """Submit a job that takes longer than any test."""
    return client.submit("tally", job_id=job_id, steps=STEPS, step_seconds=STEP_SECONDS)


def share(page: Page, job_id: str) -> float:
    """Return how far the bar of a job is."""
    return float(page.get_by_label(f"Progress of {job_id}").first.get_attribute("value") or 0)


@pytest.fixture
def work(start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch) -> Callable[[], Process]:
    """Start a worker that stores what it has done several times a second."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.2")
    return lambda: start("worker", "--slice-seconds", "2")


def test_the_list_fills_and_the_bar_moves(
    client: Client,
    served: Callable[..., str],
    viewer: Callable[..., Viewer],
    work: Callable[[], Process],
) -> None:
    """Somebody who watches a job would have to reload the page to see that it lives."""
    page = viewer().page
    page.goto(served())
    page.get_by_text("No jobs yet.").wait_for()
    submit(client, "slow")
    page.get_by_role("link", name="slow").wait_for()
    work()
    page.get_by_role("row", name="slow").get_by_text("running").wait_for()
    until(lambda: share(page, "slow") > 0)
    first = share(page, "slow")
    until(lambda: share(page, "slow") > first)
    assert page.locator("#said").text_content() == "slow: running"


def test_a_job_is_paused_resumed_and_cancelled(
    client: Client,
    served: Callable[..., str],
    viewer: Callable[..., Viewer],
    work: Callable[[], Process],
) -> None:
    """The buttons would do something else than the commands, or nothing."""
    url = served()
    submit(client, "slow")
    worker = work()
    page = viewer().page
    page.goto(f"{url}jobs/slow")
    until(lambda: share(page, "slow") > 0)
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused. A slice that runs").wait_for()
    worker.await_line("slow slice .* paused")
    assert client.status("slow").status is Status.PAUSED
    page.get_by_role("button", name="Resume").click()
    page.locator(".subtitle").get_by_text("running").wait_for()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Keep it").click()
    assert not client.status("slow").status.is_final
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_text("Cancelled. A slice that runs").wait_for()
    assert client.status("slow").status is Status.CANCELLED
    page.get_by_role("row").get_by_text("cancelled").wait_for()  # the slice, in the history


def test_a_job_can_be_cancelled_by_keyboard_alone(
    client: Client, served: Callable[..., str], viewer: Callable[..., Viewer]
) -> None:
    """Who cannot use a mouse could not stop a job."""
    submit(client, "slow")
    page = viewer().page
    page.goto(served())

    def press_on(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and (focused.text_content() or "").startswith(name):
                assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
                page.keyboard.press("Enter")
                return
        raise AssertionError(f"Tab does not lead to {name!r}")

    press_on("slow")
    page.wait_for_url("**/jobs/slow")
    press_on("Cancel")
    page.wait_for_url("**/cancel")
    press_on("Cancel the job")
    page.get_by_text("Cancelled. A slice that runs").wait_for()
    assert client.status("slow").status is Status.CANCELLED


def test_the_keyboard_leads_past_the_frame_and_out_of_a_question(
    client: Client, served: Callable[..., str], viewer: Callable[..., Viewer]
) -> None:
    """Who has no mouse would walk through the same links on each page, or answer by mistake."""
    submit(client, "slow")
    page, url = viewer().page, served()
    page.goto(f"{url}workers")
    page.wait_for_selector(IS_LIVE)
    focused = []
    for _ in range(4):
        page.keyboard.press("Tab")
        focused.append(page.locator(":focus").text_content())
    assert focused == ["Skip to content", "Outlast", "Jobs", "Workers"]
    assert page.locator(".skip").bounding_box()["y"] < 0, "it is in the way of who sees"
    page.locator(".skip").focus()
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for path, is_left in (
        ("jobs/slow/cancel", True),
        ("jobs/slow/fork", True),
        ("jobs/slow", False),
    ):
        page.goto(url + path)
        page.keyboard.press("Escape")
        page.wait_for_url(f"{url}jobs/slow")
        assert is_left or page.get_by_role("button", name="Pause").is_visible()
    assert not client.status("slow").status.is_final
    page.goto(f"{url}jobs/slow/fork")
    page.get_by_label("Id of the new job").fill("typed")
    page.keyboard.press("Escape")
    assert page.get_by_label("Id of the new job").input_value() == "typed"


def test_the_workers_come_and_go(
    client: Client,
    served: Callable[..., str],
    viewer: Callable[..., Viewer],
    work: Callable[[], Process],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who watches the workers would have to reload the page, or be told each percent aloud."""
    monkeypatch.setattr("outlast.worker.dashboard.workers.FRESH_SECONDS", 0.1)
    page = viewer().page
    page.goto(f"{served()}workers")
    page.get_by_text("there is nothing to do").wait_for()
    submit(client, "slow")
    page.get_by_text("Messages wait, and no worker has a job.").wait_for()
    worker = work()
    row = page.get_by_role("row", name="slow")
    row.get_by_text("working").wait_for()
    until(lambda: share(page, "slow") > 0)
    assert page.get_by_role("columnheader").all_text_contents()[-6:] == [
        *("Worker", "State", "Works on", "Progress", "Since", "Saved")
    ]
    client.pause("slow")
    worker.await_line("slow slice .* paused")
    row.wait_for(state="hidden")
    assert page.locator("#said").text_content() == ""


def test_what_has_the_focus_keeps_it(
    client: Client, served: Callable[..., str], viewer: Callable[..., Viewer]
) -> None:
    """A press of Enter would do something else than what was on the screen."""
    submit(client, "slow")
    page = viewer().page
    page.goto(f"{served()}jobs/slow")
    page.wait_for_selector(IS_LIVE)
    page.get_by_role("link", name="Cancel").focus()
    client.pause("slow")
    page.get_by_role("button", name="Resume").wait_for()
    assert (page.locator(":focus").text_content() or "").startswith("Cancel")


def test_it_works_without_scripts(
    client: Client, served: Callable[..., str], viewer: Callable[..., Viewer]
) -> None:
    """Who turns scripts off would see an empty page."""
    submit(client, "slow")
    page = viewer(java_script_enabled=False).page
    page.goto(served())
    page.get_by_role("link", name="slow").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert client.status("slow").status is Status.PAUSED


def test_hostile_texts_do_not_run(
    client: Client, served: Callable[..., str], viewer: Callable[..., Viewer]
) -> None:
    """A script in a job's parameters would steer all jobs with the rights of who looks."""
    client.jobs.submit(hostile())
    done = hostile("evil-done").model_copy(update={"status": Status.SUCCEEDED, "lease": None})
    client.jobs.submit(done)
    page, url = viewer().page, served()
    for path in ("", "jobs/evil", "jobs/evil-done", "workers"):
        page.goto(url + path)
        page.wait_for_selector(IS_LIVE)
        client.jobs.change("evil", lambda r: changed(r, steps=r.usage.steps + 1))
        client.submit("tally", job_id=f"new-{len(path)}", steps=1)  # so that rows come in live
        if not path:
            page.get_by_role("link", name="new-0").wait_for()
        assert page.evaluate("window.hacked") is None
        assert page.locator("script").count() == 1
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nobody_gets_in_without_the_token(
    client: Client,
    served: Callable[..., str],
    viewer: Callable[..., Viewer],
) -> None:
    """All who can reach the port could steer all jobs."""
    submit(client, "slow")
    page, url = viewer().page, served(host="0.0.0.0", token=TOKEN)
    page.goto(f"{url}jobs/slow")
    assert page.url == f"{url}login"
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="slow").wait_for()
    page.wait_for_selector(IS_LIVE)
    assert TOKEN not in page.url
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Token").wait_for()


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(("width", "colours"), [(360, "dark"), (1120, "light")])
def test_the_pages_suit_their_readers(
    served: Callable[..., str], viewer: Callable[..., Viewer], width: int, colours: str
) -> None:
    """On a phone, in the dark or to a screen reader parts would be out of reach."""
    page = viewer(
        color_scheme=colours, viewport={"width": width, "height": 800}, reduced_motion="reduce"
    ).page
    url = served()
    for path in (
        "",
        "workers",
        "workers?text=no",
        "jobs/prime-1e18",
        "jobs/prime-1e18/fork",
        "login",
    ):
        page.goto(url + path)
        report = Axe().run(page)
        assert report.violations_count == 0, report.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_it_ends_at_once_with_viewers_and_says_so_to_them(
    start: Callable[..., Process], viewer: Callable[..., Viewer]
) -> None:
    """A stop would hang until the last browser is closed; or a dead page pass for a live one."""
    process = start("dashboard", "--port", "0", "--json")
    url = process.await_out(r'"url": "(http://\S+)"')[1]
    looks = viewer()
    looks.page.goto(url)
    looks.page.wait_for_selector(IS_LIVE)
    process.send(signal.SIGTERM)
    ended = process.end()
    assert (ended.code, ended.err) == (0, "")
    looks.page.get_by_text("No connection to the dashboard").wait_for()
    assert re.search(r"is as of \d+-\d+-\d+ .* UTC", looks.page.locator("#lost").inner_text())
    port = re.findall(r":(\d+)/", url)[0]
    again = start("dashboard", "--port", port)
    looks.page.wait_for_selector(IS_LIVE)
    again.send(signal.SIGINT)
    assert again.end().code == 0
    looks.complaints.clear()  # of the time in between


def test_an_outage_of_the_store_is_a_banner_for_as_long_as_it_lasts(
    client: Client,
    served: Callable[..., str],
    viewer: Callable[..., Viewer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page would go blank, or pass what is old for what is."""
    submit(client, "slow")
    page = viewer().page
    page.goto(served())
    page.wait_for_selector(IS_LIVE)

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("redis at db:6379 does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(client.jobs._register, "keys", fail)
        begun = datetime.now(UTC)
        page.get_by_text("redis at db:6379 does not answer").wait_for()
        assert page.get_by_role("link", name="slow").is_visible()
        # What a screen reader says of it, which has no age that moves.
        status = page.locator('[data-live="outage"]').aria_snapshot()
        told = re.search(r"What you see is as of (\S+ \S+) UTC; it is asked again", status)
        assert told, status
        seen_at = datetime.fromisoformat(f"{told[1]}+00:00")
        assert abs((seen_at - begun).total_seconds()) < SOON_SECONDS
        assert page.locator('[data-live="outage"] time[data-age]').is_visible()
    page.get_by_text("redis at db:6379").wait_for(state="hidden")


def test_a_viewer_who_leaves_costs_nothing(
    client: Client, served: Callable[..., str], viewer: Callable[..., Viewer]
) -> None:
    """The store would be asked for ever, for browsers closed long ago."""
    looks = []
    ids = client.jobs.ids
    client.jobs.ids = lambda **options: looks.append(1) or ids(**options)
    page = viewer().page
    page.goto(served())
    until(lambda: len(looks) > 2)
    page.close()
    before = -1
    while before != len(looks):
        before = len(looks)
        time.sleep(0.6)  # A live page would be looked at within that; nothing tells of no look.


def test_a_port_that_is_taken_is_told_in_one_line(outlast: Callable[..., Ended]) -> None:
    """A second dashboard would end in a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        ended = outlast("dashboard", "--port", port)
    assert (ended.code, ended.out) == (1, "")
    assert re.fullmatch(rf"outlast: 127.0.0.1:{port}: .*choose another .*\n", ended.err)
