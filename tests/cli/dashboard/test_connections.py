"""What clients can do that send too much, too slowly or too often; over real sockets."""

from __future__ import annotations

import asyncio
import re
import resource
import signal
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from outlast.worker.dashboard.app import make_app
from outlast.worker.dashboard.guard import Keys
from outlast.worker.dashboard.live import MAX_VIEWERS, Live
from tests.cli.dashboard.conftest import TOKEN
from tests.cli.dashboard.test_guard import csrf_in
from tests.cli.process import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Start

    Connect = Callable[..., socket.socket]

PAGE, EVENTS = "GET /login", "GET /events/jobs"
MEGABYTE = 1 << 20
IDLE, MAX_FILES = 600, 500


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to a dashboard, from any address of this machine; send the beginning of a request."""
    with ExitStack() as sockets:

        def make(url: str, begin: str = "", *, address: str = "127.0.0.1") -> socket.socket:
            host = urlsplit(url).netloc
            there = host.split(":")[0], int(host.split(":")[1])
            made = socket.create_connection(there, PATIENCE_SECONDS, source_address=(address, 0))
            if begin:
                head = f"{begin} HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\n"
                made.sendall(head.encode())
            return sockets.enter_context(made)

        yield make


def ask(connection: socket.socket, rest: str = "", up_to: str = "") -> str:
    """Send the rest of a request; return what comes until some text, or the end."""
    with suppress(ConnectionError):
        connection.sendall(f"{rest}\r\n".encode())
    return read(connection, up_to)


def read(connection: socket.socket, up_to: str = "") -> str:
    """Return what comes until some text, or the end."""
    text = b""
    with suppress(ConnectionError):
        while not up_to or up_to.encode() not in text:
            data = connection.recv(65_536)
            if not data:
                break
            text += data
    return text.decode()


def is_answered(connect: Connect, url: str) -> bool:
    """Whether a viewer who comes now sees the page of the login."""
    return ask(connect(url, PAGE), "connection: close\r\n").startswith("HTTP/1.1 200")


def test_a_request_without_end_is_cut_off(start: Start, connect: Connect) -> None:
    """Before any login, one request would take all memory and a core for minutes."""
    process = start("dashboard", "--port", "0", "--json")
    url = process.await_out(r'"url": "(http://\S+)"')[1]
    endless, sent = connect(url, PAGE), 0
    with suppress(ConnectionError):
        endless.sendall(b"x: ")
        while sent < 64 * MEGABYTE:
            sent += endless.send(b"a" * MEGABYTE)
    assert sent < 32 * MEGABYTE  # what was on its way
    ask(connect(url), "no HTTP\r\n")
    noisy = connect(url, EVENTS)
    ask(noisy, "connection: close\r\n", up_to="retry")
    ask(noisy, "no HTTP\r\n")
    assert ask(connect(url, "POST /login"), "transfer-encoding: chunked\r\n\r\nno chunk\r\n") == ""
    upgrade = "connection: upgrade, close\r\nupgrade: websocket\r\n"
    assert ask(connect(url, PAGE), upgrade).startswith("HTTP/1.1 200")
    assert is_answered(connect, url)
    process.send(signal.SIGTERM)
    ended = process.end()
    assert (ended.code, ended.err) == (0, ""), "strangers fill the log"


@pytest.mark.parametrize(
    "words",
    [
        ("", "", ""),
        ("GET /login", "x: ", "a"),
        ("POST /login", "content-length: 99\r\n\r\n", ""),
        ("POST /login", "transfer-encoding: chunked\r\n\r\n", "1\r\na\r\n"),
        ("GET /login", "content-length: 99999999\r\n\r\n", "a" * 999),
        ("GET /login", "\r\n", "G"),
    ],
    ids=["silent", "slow-header", "no-body", "slow-body", "unread-body", "slow-second-request"],
)
def test_who_dawdles_is_disconnected(
    served: Callable[..., str],
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    words: tuple[str, str, str],
) -> None:
    """Each would hold its connection for ever, until there are none left for viewers."""
    monkeypatch.setattr("outlast.worker.dashboard.connection.PATIENCE_SECONDS", 0.3)
    begin, first, again = words
    connection = connect(served(token=TOKEN), begin)
    connection.sendall(first.encode())
    connection.settimeout(0.02)

    def is_over() -> bool:
        try:
            connection.sendall(again.encode())
            return not connection.recv(65_536)
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    until(is_over)
    assert caplog.text == ""


def test_who_only_looks_is_not(
    client: Client,
    served: Callable[..., str],
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page would lose its connection every ten seconds."""
    monkeypatch.setattr("outlast.worker.dashboard.connection.PATIENCE_SECONDS", 0.1)
    url = served()
    viewer = connect(url, EVENTS)
    ask(viewer, up_to="retry")
    assert read(connect(url)) == ""  # closed after that time
    client.submit("tally", job_id="new", steps=1)
    assert "/jobs/new" in read(viewer, up_to="/jobs/new")


def test_idle_connections_do_not_shut_viewers_out(start: Start, connect: Connect) -> None:
    """Anyone who can reach the port could close it to all others, without sending a byte."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))

    process = start("dashboard", "--port", "0", "--json", preexec_fn=limit)
    url = process.await_out(r'"url": "(http://\S+)"')[1]
    for _ in range(IDLE):
        connect(url)
    assert is_answered(connect, url)


def test_a_crowd_from_one_address_takes_its_own_places(
    served: Callable[..., str], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer on a slow line would lose the connection before the request is there."""
    monkeypatch.setattr("outlast.worker.dashboard.connection.MAX_CONNECTIONS", 5)
    url = served()
    viewer = connect(url, PAGE, address="127.0.0.2")
    crowd = [connect(url, PAGE) for _ in range(9)]
    assert [read(each) for each in crowd[:5]] == [""] * 5  # once the others are there
    assert ask(viewer, up_to="</html>").startswith("HTTP/1.1 200")


def test_who_reads_no_answer_makes_room(
    served: Callable[..., str], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that ask and never read would hold all connections."""
    monkeypatch.setattr("outlast.worker.dashboard.connection.MAX_CONNECTIONS", 1)
    url = served()
    deaf = connect(url, "GET /static/dashboard.css")
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    more = f"\r\nGET /static/dashboard.css HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\n"
    deaf.sendall((more * 900 + "\r\n").encode())  # answers of more than any buffer holds
    read(deaf, up_to="HTTP/1.1 200")
    until(lambda: is_answered(connect, url))


def test_of_many_viewers_at_once_a_hundred_are_served(client: Client) -> None:
    """More streams than promised would slow down the store, the page and each other."""
    live, leaves, statuses = Live(), asyncio.Event(), []
    app = make_app(client, Keys(None, 8765), live, is_local=True)

    async def view() -> None:
        async def receive() -> dict[str, Any]:
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await asyncio.sleep(0)

        scope = {"type": "http", "method": "GET", "path": "/events/jobs", "query_string": b""}
        headers = [(b"host", b"127.0.0.1:8765")]
        await app({**scope, "headers": headers, "client": ("127.0.0.1", 1)}, receive, send)

    async def scenario() -> None:
        viewers = [asyncio.create_task(view()) for _ in range(3 * MAX_VIEWERS)]
        while len(statuses) < len(viewers):
            await asyncio.sleep(0)
        assert live.viewers == MAX_VIEWERS
        leaves.set()
        await asyncio.gather(*viewers)
        assert live.viewers == 0
        await view()

    asyncio.run(scenario())
    assert [statuses.count(status) for status in (200, 503)] == [MAX_VIEWERS + 1, 2 * MAX_VIEWERS]


def test_a_question_for_the_head_of_a_stream_is_no_viewer(
    served: Callable[..., str], connect: Connect
) -> None:
    """A monitor that asks whether the page is alive would take the places one by one."""
    answer = ask(connect(served(), "HEAD /events/jobs"), "connection: close\r\n")
    assert answer.startswith("HTTP/1.1 200")
    assert "text/event-stream" in answer


def test_a_logout_ends_the_streams_of_its_session(
    served: Callable[..., str], connect: Connect
) -> None:
    """A page left open elsewhere, or a copied cookie, would go on to show all jobs."""
    url = served(token=TOKEN)

    def post(path: str, form: str, cookie: str = "") -> str:
        more = f"connection: close\r\ncookie: {cookie}\r\ncontent-length: {len(form)}\r\n"
        return ask(connect(url, f"POST {path}"), f"{more}\r\n{form}")

    page = ask(connect(url, PAGE), "connection: close\r\n")
    entered = post("/login", f"csrf={csrf_in(page)}&token={TOKEN}")
    cookie = re.findall(r"set-cookie: ([^;]+)", entered)[0]
    stream = connect(url, EVENTS)
    ask(stream, f"connection: close\r\ncookie: {cookie}\r\n", up_to="data: ")
    page = ask(connect(url, "GET /"), f"connection: close\r\ncookie: {cookie}\r\n")
    post("/logout", f"csrf={csrf_in(page)}", cookie)
    assert read(stream).endswith("0\r\n\r\n")
