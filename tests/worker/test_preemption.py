"""Notices that a machine is taken away, asked of a server as EC2's metadata service is one."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from outlast.worker.dashboard.plot import plot_of
from outlast.worker.loops import preemption
from outlast.worker.loops.preemption import Ec2Notice, Notice, StopFile, notices_of, stop_on_notice
from outlast.worker.settings import Settings
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from tests.cli.process import until
from tests.worker.floor import Floor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTICE = {"action": "terminate", "time": "2026-11-27T08:22:00Z"}


class Metadata(BaseHTTPRequestHandler):
    """Answers as version 2 of the service does.

    The server has the `tokens` that it has given, if it `gives_tokens`, and the `notice`; each
    answer lacks as many bytes as are `promised`.
    """

    server: Any

    def do_PUT(self) -> None:
        """Give out a token."""
        assert self.path == "/latest/api/token"
        if not self.server.gives_tokens:
            self._answer(404, "")
            return
        assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) <= 21_600
        self.server.tokens.append(f"token-{len(self.server.tokens)}")
        self._answer(200, self.server.tokens[-1])

    def do_GET(self) -> None:
        """Tell of the notice, to who has the newest token."""
        assert self.path == "/latest/meta-data/spot/instance-action"
        if self.headers["X-aws-ec2-metadata-token"] != self.server.tokens[-1]:
            self._answer(401, "")
        elif self.server.notice is None:
            self._answer(404, "<html>none</html>")
        else:
            self._answer(200, self.server.notice)

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text) + self.server.promised))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The service, of which AWS's own variable tells; a proxy that is set does not count."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    server.tokens, server.notice = [], None
    server.gives_tokens, server.promised = True, 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_ec2_tells_two_minutes_before(metadata: Any) -> None:
    """A spot instance would be switched off in the middle of a step that nobody has saved."""
    ask = Ec2Notice()
    assert ask() is None
    metadata.notice = json.dumps(NOTICE)
    assert ask() == ("spot notice", "EC2 is to terminate it at 2026-11-27T08:22:00Z")
    assert len(metadata.tokens) == 1


def test_a_token_that_has_expired_is_replaced(metadata: Any) -> None:
    """A worker that runs for a day would not hear of anything after six hours."""
    ask = Ec2Notice()
    assert ask() is None
    metadata.tokens.append("of another day")
    with pytest.raises(OSError, match="401"):
        ask()
    assert ask() is None


@pytest.mark.parametrize("notice", ["", "<html>", "7", "[]", '{"action": "terminate"}'])
def test_an_answer_that_is_no_notice_is_none(metadata: Any, notice: str) -> None:
    """A worker on another cloud, or behind a login page, would stop at once."""
    metadata.notice = notice
    with pytest.raises(OSError, match="no notice of EC2's"):
        Ec2Notice()()


def test_a_service_without_tokens_is_not_one_without_a_notice(metadata: Any) -> None:
    """A worker on another cloud would never say that it hears nothing."""
    metadata.gives_tokens = False
    with pytest.raises(OSError, match="404"):
        Ec2Notice()()


def test_an_answer_that_is_cut_off_is_asked_for_again(metadata: Any) -> None:
    """The thread that asks would end, and nobody hear of the notice."""
    metadata.notice, metadata.promised = json.dumps(NOTICE), 10_000
    ask = Ec2Notice()
    with pytest.raises(OSError, match="IncompleteRead"):
        ask()
    metadata.promised = 0
    assert ask()


def test_a_notice_that_is_there_is_heard_before_the_work_begins(tmp_path: Path) -> None:
    """A worker that is started again would begin steps that the end of its machine cuts off."""
    path = tmp_path / "stop"
    path.touch()
    with Deadline() as stop, stop_on_notice([StopFile(path)], stop):
        assert stop.reason == "stop file"


def test_a_folder_stops_nobody(tmp_path: Path) -> None:
    """A variable that names the folder, and not the file in it, would stop all workers."""
    assert StopFile(tmp_path)() is None


def test_after_the_work_nobody_is_stopped() -> None:
    """A worker that has ended well would end with the exit code of a kill."""
    asked, may_answer = threading.Event(), threading.Event()

    def slow() -> Notice | None:
        if threading.current_thread() is threading.main_thread():
            return None  # before the block
        asked.set()
        may_answer.wait()
        return Notice("stop file", "too late")

    with Deadline() as stop:
        with stop_on_notice([slow], stop, every_seconds=0.0):
            assert asked.wait(10)
            (thread,) = [each for each in threading.enumerate() if each.name == preemption.THREAD]
        may_answer.set()
        thread.join()
        assert stop.reason is None


def test_a_file_stops_the_worker(tmp_path: Path) -> None:
    """A script that knows of the end of a machine would need the worker's number."""
    path = tmp_path / "stop"
    with Deadline() as stop, stop_on_notice([StopFile(path)], stop, every_seconds=0.01):
        path.touch()
        until(lambda: stop.reason is not None)
    assert stop.reason == "stop file"


def test_the_history_tells_a_notice_from_a_signal(tmp_path: Path) -> None:
    """An operator would look for who sends SIGTERM, where a script has created the file."""
    path, floor = tmp_path / "stop", Floor()
    floor.submit()
    with Deadline() as stop, stop_on_notice([StopFile(path)], stop, every_seconds=0.01):

        def leave() -> None:
            path.touch()
            until(lambda: stop.reason is not None)

        floor.at(5, leave)
        deliver(floor.process(), floor.receive(), stop=stop)
    (stretch,) = floor.record.history.stretches
    assert stretch.ending == "stop file"
    plot = plot_of(floor.record)
    assert plot
    assert plot.marks == [("signal", "stopped by a signal or a notice")]


def test_one_who_does_not_know_is_asked_again_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A container that cannot reach the metadata would fill its log, or hear of no file either."""
    asked = threading.Semaphore(0)

    def unreachable() -> None:
        asked.release()
        raise OSError("no route")

    path = tmp_path / "stop"
    with (
        Deadline() as stop,
        stop_on_notice([unreachable, StopFile(path)], stop, every_seconds=0.01),
    ):
        for _ in range(3):
            asked.acquire()
        path.touch()
        until(lambda: stop.reason is not None)
    assert stop.reason == "stop file"
    warnings = [record.event for record in caplog.records if hasattr(record, "event")]
    assert warnings == ["notices_unknown", "machine_leaves"]


def test_without_a_setting_nothing_is_asked(tmp_path: Path) -> None:
    """A laptop would ask its network for the metadata of a cloud every few seconds."""
    store = "sqlite:///x.db"
    assert notices_of(Settings(store=store)) == []
    settings = Settings(store=store, stop_file=tmp_path, spot="ec2")
    assert [type(ask) for ask in notices_of(settings)] == [StopFile, Ec2Notice]
