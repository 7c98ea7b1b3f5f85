"""Sessions and wrong tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from outlast.checkpoint.status import Status
from outlast.worker.dashboard.attempts import (
    FORGET_SECONDS,
    FREE_ATTEMPTS,
    LONGEST_WAIT_SECONDS,
    MAX_ADDRESSES,
    Attempts,
)
from outlast.worker.dashboard.sessions import IDLE_SECONDS, MAX_SESSIONS, Sessions
from tests.cli.dashboard.conftest import TOKEN, URL
from tests.cli.dashboard.test_guard import csrf_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from httpx2 import Response

    from outlast.worker.jobs.client import Client

    BrowserOf = Callable[..., TestClient]


class Clock:
    """A clock that a test sets."""

    now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def browser_beside(browser: TestClient, address: str = "192.0.2.7") -> TestClient:
    """Return another browser on the same dashboard, on a machine of its own."""
    return TestClient(
        browser.app,
        base_url=URL,
        headers={"Origin": URL},
        follow_redirects=False,
        client=(address, 50_000),
    )


def enter(browser: TestClient, token: str = TOKEN, **headers: str) -> Response:
    """Enter a token on the page of the login."""
    form = {"csrf": csrf_in(browser.get("/login").text), "token": token}
    return browser.post("/login", data=form, headers=headers)


def test_a_cookie_is_worth_nothing_after_the_logout(browser_of: BrowserOf) -> None:
    """Who has copied a cookie, from a shared machine or a log, would stay in."""
    browser = browser_of(token=TOKEN)
    other, thief = browser_beside(browser), browser_beside(browser)
    enter(browser)
    enter(other)
    thief.cookies = browser.cookies
    assert thief.get("/").status_code == 200
    browser.post("/logout", data={"csrf": csrf_in(browser.get("/").text)})
    assert thief.get("/").status_code == 303
    assert other.get("/").status_code == 200


def test_a_login_ends_the_session_before_it(browser_of: BrowserOf) -> None:
    """Who fears for a cookie and logs in again would leave it good for twelve hours."""
    browser = browser_of(token=TOKEN)
    enter(browser)
    old = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    assert browser_beside(browser).get("/", headers=old).status_code == 200
    enter(browser)
    assert browser_beside(browser).get("/", headers=old).status_code == 303


@pytest.mark.usefixtures("day")
def test_the_forms_of_one_session_steer_nothing_in_another(
    browser_of: BrowserOf, client: Client
) -> None:
    """The secret of a page that a former viewer kept would still be good for a forged form."""
    browser = browser_of(token=TOKEN)
    enter(browser)
    kept = csrf_in(browser.get("/").text)
    enter(browser)
    answer = browser.post("/jobs/prime-1e18/cancel", data={"csrf": kept})
    assert (answer.status_code, "Nothing was done" in answer.text) == (403, True)
    assert client.status("prime-1e18").status is Status.RUNNING


def test_the_cookie_stays_on_tls_where_the_page_came_by_it(browser_of: BrowserOf) -> None:
    """Behind a proxy with TLS, one plain request would give the session away."""
    browser = browser_of(token=TOKEN)
    secure = enter(browser, Origin=URL.replace("http:", "https:")).headers["set-cookie"]
    assert "secure" in secure.lower()
    assert "secure" not in enter(browser).headers["set-cookie"].lower()


def test_wrong_tokens_make_their_sender_wait_and_nobody_else(browser_of: BrowserOf) -> None:
    """A token could be guessed, a thousand a second; or a guesser keep the owner out."""
    browser = browser_of(token=TOKEN)
    for _ in range(FREE_ATTEMPTS):
        assert enter(browser, "guess").status_code == 403
    refused = enter(browser)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert "wait 1 s" in refused.text
    assert enter(browser_beside(browser)).status_code == 303


def test_the_wait_doubles_and_the_right_token_ends_it() -> None:
    """A patient guesser would be as fast as a hasty one; or a viewer wait after the right token."""
    clock = Clock()
    attempts = Attempts(clock)
    waits = []
    for _ in range(FREE_ATTEMPTS + 8):
        clock.now += attempts.wait_seconds("192.0.2.1")
        attempts.fail("192.0.2.1")
        waits.append(attempts.wait_seconds("192.0.2.1"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, *[LONGEST_WAIT_SECONDS] * 3]
    for _ in range(5_000):  # at once, before the wait is over
        attempts.fail("192.0.2.1")
    assert attempts.wait_seconds("192.0.2.1") == LONGEST_WAIT_SECONDS
    attempts.succeed("192.0.2.1")
    assert attempts.wait_seconds("192.0.2.1") == 0


@pytest.mark.parametrize(
    "other", ["2001:db8:1:2:ffff::1", "2001:db8:1:2::", "2001:db8:1:2:0:0:0:9"]
)
def test_the_addresses_of_one_network_wait_together(other: str) -> None:
    """With version 6 each guess could come from an address of its own."""
    attempts = Attempts(Clock())
    for _ in range(FREE_ATTEMPTS):
        attempts.fail("2001:db8:1:2::1")
    assert attempts.wait_seconds(other) > 0
    assert attempts.wait_seconds("2001:db8:1:3::1") == 0
    assert attempts.wait_seconds("::ffff:192.0.2.1") == 0


def test_many_addresses_fill_no_memory_and_are_forgotten() -> None:
    """A guesser with many addresses would be as fast as ever, or fill the memory."""
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(MAX_ADDRESSES * 3):
        attempts.fail(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert attempts.wait_seconds("192.0.2.1") == LONGEST_WAIT_SECONDS
    assert attempts.wait_seconds("10.0.0.1") == 0  # a single wrong token
    clock.now += FORGET_SECONDS
    assert attempts.wait_seconds("192.0.2.1") == 0


def test_a_session_that_nobody_uses_ends() -> None:
    """A cookie from an old backup of a browser would open the dashboard."""
    clock = Clock()
    sessions = Sessions(clock)
    used, idle = sessions.begin(), sessions.begin()
    clock.now += IDLE_SECONDS * 0.6
    assert sessions.has(used)
    clock.now += IDLE_SECONDS * 0.6
    assert sessions.has(used)
    assert not sessions.has(idle)


def test_there_are_only_so_many_sessions() -> None:
    """A script that logs in for each request would fill the memory, or push out a viewer."""
    sessions = Sessions(Clock())
    viewer, unused = sessions.begin(), sessions.begin()
    for _ in range(MAX_SESSIONS):
        assert sessions.has(viewer)
        sessions.begin()
    assert not sessions.has(unused)
    assert not sessions.has("")
