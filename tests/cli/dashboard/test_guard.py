"""The login, and the defence against other sites."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

from outlast.checkpoint.status import Status
from outlast.kernel.extras import how_to_install
from tests.cli.dashboard.conftest import TOKEN, URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.testclient import TestClient

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Ended, Start

JOB = "/jobs/prime-1e18"
BOUND = ["127.0.0.1", "127.0.0.1:8765", "localhost:9000", "[::1]:8765", "LOCALHOST"]
FOREIGN = ["evil.example", "127.0.0.1.evil.example:8765", "localhost.evil", "[", "", "10.0.0.1"]


def csrf_in(page: str) -> str:
    """Return the secret in the forms of a page."""
    match = re.search(r'name="csrf" value="(\w+)"', page)
    assert match
    return match[1]


@pytest.mark.parametrize("host", BOUND)
def test_names_of_this_machine_lead_to_it(browser_of: Callable[..., TestClient], host: str) -> None:
    """A person who forwards a port, or types localhost, would see nothing."""
    assert browser_of().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_does_not(browser_of: Callable[..., TestClient], host: str) -> None:
    """Any web page could point its own name at this machine and read all jobs (DNS rebinding)."""
    answer = browser_of().get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert "<html" not in answer.text


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8766"},
        {"Origin": "null"},
        {"Origin": "file://127.0.0.1:8765"},
        {"Origin": ""},
        {"Origin": "http://[127.0.0.1:8765"},
    ],
)
def test_a_post_from_elsewhere_does_nothing(
    browser_of: Callable[..., TestClient], client: Client, headers: dict[str, str]
) -> None:
    """Any web page, or another program's on another port, could cancel jobs."""
    browser = browser_of()
    form = {"csrf": csrf_in(browser.get(JOB).text)}
    assert browser.post(f"{JOB}/cancel", data=form, headers=headers).status_code == 403
    assert client.status("prime-1e18").status is Status.RUNNING


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "é", "login"])
def test_a_post_without_its_token_does_nothing(
    browser_of: Callable[..., TestClient], client: Client, csrf: str | None
) -> None:
    """A browser that sends a wrong origin would be enough to cancel jobs."""
    browser = browser_of()
    if csrf == "login":  # What anyone may see must not be what steers.
        csrf = csrf_in(browser.get("/login").text)
    answer = browser.post(f"{JOB}/cancel", data={} if csrf is None else {"csrf": csrf})
    assert answer.status_code == 403
    assert "Nothing was done" in answer.text
    assert client.status("prime-1e18").status is Status.RUNNING


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=1&" * 100, b"x" * 100_000])
def test_a_foreign_form_is_refused(browser_of: Callable[..., TestClient], body: bytes) -> None:
    """One request could fill the memory, or end in a traceback."""
    assert browser_of().post(f"{JOB}/cancel", content=body).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_other_method_does_anything(browser_of: Callable[..., TestClient], method: str) -> None:
    """A way around the check of forms would be open."""
    assert browser_of().request(method, f"{JOB}/cancel").status_code == 405


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    "path",
    ["/", "/workers", JOB, f"{JOB}/cancel", "/login", "/no", "/jobs/%00", "/static/dashboard.css"],
)
def test_every_answer_has_the_security_headers(
    browser_of: Callable[..., TestClient], path: str
) -> None:
    """A page could be framed, cached, or made to run a script that came in with a job."""
    headers = browser_of().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 303),
        ("/workers", 303),
        (JOB, 303),
        ("/events/jobs", 401),
        ("/events/workers", 401),
        (f"{JOB}/cancel", 303),
    ],
)
def test_nothing_is_shown_before_the_login(
    browser_of: Callable[..., TestClient], path: str, status: int
) -> None:
    """Everyone on the network could see, and steer, all jobs."""
    browser = browser_of(token=TOKEN, is_local=False)
    answer = browser.get(path, headers={"Cookie": "outlast-8765=guess"})
    assert answer.status_code == status
    assert "prime" not in answer.text
    assert browser.post(f"{JOB}/pause").status_code == 303


def test_the_token_lets_in_and_the_cookie_is_safe(
    browser_of: Callable[..., TestClient],
) -> None:
    """Nobody would get in; or a script, or another site, could use the login."""
    browser = browser_of(token=TOKEN, is_local=False)
    csrf = csrf_in(browser.get("/login").text)
    wrong = browser.post("/login", data={"csrf": csrf, "token": "é" + TOKEN})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
    right = browser.post("/login", data={"csrf": csrf, "token": TOKEN})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    page = browser.get("/")
    assert page.status_code == 200
    steering = csrf_in(page.text)
    assert steering != csrf
    for anyone in ("/login", "/static/none", "/jobs/none"):
        assert steering not in browser.get(anyone).text
    browser.post("/logout", data={"csrf": steering})
    assert browser.get("/").status_code == 303


def test_a_login_ends_with_the_process(browser_of: Callable[..., TestClient]) -> None:
    """Changing the token would not keep out who had the old one."""
    browser, later = browser_of(token=TOKEN), browser_of(token=TOKEN)
    csrf = csrf_in(browser.get("/login").text)
    browser.post("/login", data={"csrf": csrf, "token": TOKEN})
    later.cookies = browser.cookies
    assert browser.get("/", headers={"Host": URL.removeprefix("http://")}).status_code == 200
    assert later.get("/").status_code == 303


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "set OUTLAST_DASHBOARD_TOKEN"),
        (["--host", "192.0.2.1"], "set OUTLAST_DASHBOARD_TOKEN"),
        (["--token", "short"], "shorter than 16 characters"),
        (["--port", "70000"], "--port"),
        (["--token", TOKEN, "--token-file", "t"], "give either --token or --token-file"),
        (["--token-file", "no/such/folder"], "no/such/folder: No such file"),
        (["--token-file", "."], "--token-file .: Is a directory"),
        (["--token-file", os.devnull], "shorter than 16 characters"),
    ],
)
def test_it_does_not_start_unprotected(
    outlast: Callable[..., Ended], words: list[str], message: str
) -> None:
    """A slip on the command line would show all jobs to the network."""
    ended = outlast("dashboard", *words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_token_file_is_made_once_and_for_its_owner_alone(start: Start, folder: Path) -> None:
    """A container would have a token that nobody knows, or everybody, or a new one each time."""
    path = folder / "token"
    process = start("dashboard", "--host", "0.0.0.0", "--port", "0", "--token-file", str(path))
    process.await_line(f"made a token, which is asked for: it is in {path}")
    found = process.await_out(r"(http://localhost:\d+/), and at every address of this machine")
    url = found[1].replace("localhost", "127.0.0.1")
    token = path.read_text().strip()
    assert len(token) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    with httpx2.Client(base_url=url, headers={"Origin": url.rstrip("/")}) as browser:
        assert browser.get("/workers").status_code == 303
        csrf = csrf_in(browser.get("/login").text)
        entered = browser.post("/login", data={"csrf": csrf, "token": token})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert browser.get("/workers").status_code == 200
    process.send(signal.SIGTERM)
    assert process.end().code == 0
    start("dashboard", "--port", "0", "--token-file", str(path)).await_out(r"http://\S+/")
    assert path.read_text().strip() == token


def test_a_network_that_can_read_the_token_is_named(start: Start) -> None:
    """Who opens the dashboard to a network would not think of those who listen in."""
    process = start("dashboard", "--host", "0.0.0.0", "--port", "0", "--token", TOKEN)
    process.await_line("speaks plain HTTP.* proxy with TLS")


def test_a_short_token_in_the_environment_is_refused_and_not_shown(
    outlast: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret would stand in a log."""
    monkeypatch.setenv("OUTLAST_DASHBOARD_TOKEN", "hunter2")
    ended = outlast("dashboard")
    assert ended.code == 2
    assert "hunter2" not in ended.err


def test_an_empty_token_in_the_environment_is_called_so(
    outlast: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who forgot to fill the variable would look for a token that is too short."""
    monkeypatch.setenv("OUTLAST_DASHBOARD_TOKEN", "")
    assert "='': Value error, it is empty: give a value" in outlast("dashboard").err


def test_without_its_extra_it_says_what_to_install(
    outlast: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new user would meet a traceback in place of the one command that helps.

    A script would take what is not installed for a fault of the store.
    """
    monkeypatch.delitem(sys.modules, "outlast.worker.dashboard.serve", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ended = outlast("dashboard")
    assert (ended.code, ended.out) == (2, "")
    assert how_to_install("dashboard") in ended.err
    assert len(ended.err.splitlines()) == 1


def test_the_address_opens_in_the_browser_if_asked(
    outlast: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--open` would do nothing, or open a page before it can be shown."""
    opened = []

    def opens(url: str) -> None:
        opened.append(url)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("webbrowser.open", opens)
    ended = outlast("dashboard", "--port", "0", "--open")
    assert (ended.code, ended.err) == (0, "")
    assert opened[0] in ended.out
