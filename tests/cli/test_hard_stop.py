"""The end of a command: whatever stops it, and whoever else writes to the terminal."""

from __future__ import annotations

import io
import signal
from typing import TYPE_CHECKING

from outlast.worker.cli.hard_stop import HardStop
from outlast.worker.cli.progress import ProgressLines
from outlast.worker.slices.deadline import Deadline

if TYPE_CHECKING:
    import pytest


def test_a_notice_that_came_first_is_no_crash() -> None:
    """A worker that starts on a machine that is going away would end with a traceback."""
    with Deadline() as stop:
        stop.expect("stop file")
        signal.raise_signal(signal.SIGTERM)
        assert stop.reason == "stop file"
        with HardStop(stop, 60.0, say=lambda _: None, end=lambda _: None) as hard_stop:
            assert hard_stop.seconds_left() > 0


def test_a_line_is_written_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last words of a run and of its processes would stand in one line."""
    written: list[str] = []
    stream = io.StringIO()
    monkeypatch.setattr(stream, "write", written.append)
    monkeypatch.setattr("sys.stderr", stream)
    ProgressLines().say("ended")
    assert written == ["outlast: ended\n"]
