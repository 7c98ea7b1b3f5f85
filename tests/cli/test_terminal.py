"""What a person at a terminal sees, and what goes into a pipe instead."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from tests.cli.process import OUTLAST

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import AtTerminal, Start

LONG = ("tally", "steps=10_000", "step_seconds=0.005")
BAR = "━"


def test_a_bar_moves_on_a_terminal(terminal: AtTerminal) -> None:
    """A person would not see whether a long job gets on, or when it ends."""
    at = terminal("run", "tally", "steps=500", "step_seconds=0.005", "--slice-seconds", "1.5")
    at.await_text(r"\d\.\d%, .* %/s, 0:\d\d left, slice 1")
    at.await_text(r"slice 2")
    code, out = at.end()
    assert (code, out) == (0, "total=500\n")
    assert BAR in at.seen
    assert "100.0%, " in at.seen
    assert at.seen.count("\r\n") < 10, "each look is a line of its own"
    assert at.seen.endswith("\n") or at.seen.endswith("\x1b[?25h"), "the cursor is not given back"


def test_what_a_kernel_prints_stands_above_the_bar(terminal: AtTerminal) -> None:
    """The bar would be torn, or the print lost, or taken for a part of the result."""
    for isolate in ((), ("--isolate",)):
        line = ("run", "tally", "steps=60", "step_seconds=0.02", *isolate)
        at = terminal(*line, TALLY_TELLS="1")
        code, out = at.end()
        assert (code, out) == (0, "total=60\n")
        whole = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", at.seen)
        assert re.search(r"(^|[\r\n])at work\r\n", whole), at.seen
        assert "100.0%, " in at.seen


def test_ctrl_c_on_a_terminal_leaves_it_clean(terminal: AtTerminal) -> None:
    """A person would lose the cursor, or not see how to go on."""
    at = terminal("run", *LONG, "--job-id", "a")
    at.await_text("slice 1")
    at.process.send_signal(signal.SIGINT)
    assert at.end() == (130, "")
    assert "to go on here: outlast run tally steps=10_000 step_seconds=0.005 --job-id a" in at.seen
    assert at.seen.rfind("\x1b[?25h") > at.seen.rfind("\x1b[?25l"), "the cursor stays hidden"


def test_a_closed_terminal_costs_no_work(terminal: AtTerminal, client: Client) -> None:
    """Who closes a window, or loses a connection, would lose what was done since the last save."""
    at = terminal("run", *LONG, "--job-id", "a")
    at.await_text("slice 1")
    at.hang_up()
    assert at.process.wait(30) == 129
    stopped = client.status("a")
    assert (stopped.status, stopped.usage.redone_seconds) == (Status.QUEUED, 0)
    assert stopped.usage.steps >= 1


def test_a_dumb_terminal_gets_plain_lines(terminal: AtTerminal) -> None:
    """An editor's console would be filled with control characters."""
    at = terminal("run", "tally", "steps=3", TERM="dumb")
    assert at.end() == (0, "total=3\n")
    assert "\x1b" not in at.seen
    assert BAR not in at.seen


def test_json_stays_pure_at_a_terminal(terminal: AtTerminal) -> None:
    """`outlast run --json > file` at a terminal would mix the bar into the file."""
    at = terminal("run", "tally", "steps=3", "--json")
    code, out = at.end()
    assert code == 0
    assert out.startswith("{")
    assert BAR in at.seen
    assert BAR not in out


def test_a_pipe_gets_few_plain_lines(start: Start) -> None:
    """A log would hold control characters, or ten lines a second."""
    process = start("run", "tally", "steps=300", "step_seconds=0.005", "--slice-seconds", "0.5")
    ended = process.end()
    assert ended.out == "total=300\n"
    assert "\x1b" not in ended.err
    assert "\r" not in ended.err
    lines = ended.err.splitlines()
    assert all(line.startswith("outlast: ") for line in lines)
    slices = [line for line in lines if re.search(r"slice \d+ ended at .*: (deadline|succ)", line)]
    assert len(slices) >= 3
    assert len(lines) <= len(slices) + 4


def test_a_worker_at_a_terminal_has_a_line_that_moves(terminal: AtTerminal, client: Client) -> None:
    """A person who tries a worker would see nothing for a minute, or a line for each slice."""
    client.submit("tally", job_id="good", steps=40, step_seconds=0.02)
    client.submit("tally", job_id="bad", steps=2, fails_at=0)
    at = terminal("worker", "--slice-seconds", "0.3", "--max-idle-seconds", "0.2")
    assert at.end() == (0, "")
    assert re.search(r"\d\.\d%, .*, job good slice \d", at.seen)
    whole = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", at.seen)
    assert re.search(r"INFO job good succeeded: .*\n", whole)
    moving = re.search(r"good slice \d (runs|ended)", whole)
    assert not moving, "a line that the moving one stands for"
    assert re.search(r"bad slice 1 ended at .*: error, to be tried again", whole)
    assert re.search(r"\x1b\[[0-9;]*31m.* ERROR job bad: RuntimeError: told to fail", at.seen)
    assert at.seen.rfind("\x1b[?25h") > at.seen.rfind("\x1b[?25l"), "the cursor stays hidden"


def test_no_color_is_heard(terminal: AtTerminal, client: Client) -> None:
    """Who cannot read red on blue has said so, once for all programs."""
    client.submit("tally", job_id="bad", steps=2, fails_at=0)
    at = terminal("worker", "--max-slices", "1", NO_COLOR="1")
    assert at.end() == (0, "")
    assert "ERROR job bad: RuntimeError: told to fail" in at.seen
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", at.seen)


def test_a_log_that_is_turned_down_has_no_line_that_moves(
    terminal: AtTerminal, client: Client
) -> None:
    """A person who wants no news would have a line that stays when its job is long over."""
    client.submit("tally", job_id="a", steps=20, step_seconds=0.02)
    at = terminal("worker", "--max-slices", "1", OUTLAST_LOG_LEVEL="WARNING")
    assert at.end() == (0, "")
    assert at.seen == ""


def test_several_workers_at_a_terminal_share_it(terminal: AtTerminal, client: Client) -> None:
    """The moving line of each would tear those of the others."""
    client.submit("tally", job_id="a", steps=20, step_seconds=0.02)
    at = terminal("worker", "--processes", "2", "--max-idle-seconds", "0.5")
    assert at.end() == (0, "")
    assert "INFO job a slice 1 ended at 100.00%" in at.seen
    assert "\x1b" not in at.seen


def test_a_worker_that_is_cut_off_gives_the_cursor_back(
    terminal: AtTerminal, client: Client
) -> None:
    """A person would type blindly into a terminal that a hanging kernel has left."""
    client.submit("tally", job_id="a", steps=2, step_seconds=60)
    at = terminal("worker", TALLY_TELLS="1", OUTLAST_STOP_SECONDS="0.1")
    at.await_text("at work")
    at.process.send_signal(signal.SIGTERM)
    assert at.end() == (124, "")
    assert "another worker goes on from the last checkpoint" in at.seen
    assert at.seen.rfind("\x1b[?25h") > at.seen.rfind("\x1b[?25l"), "the cursor stays hidden"


def test_a_reader_of_the_bar_that_leaves_does_not_hurt_the_job() -> None:
    """A job would fail because a terminal was closed."""
    gone, theirs = os.pipe()
    os.close(gone)
    done = subprocess.run(
        [OUTLAST, "run", "tally", "steps=3"], stdout=subprocess.PIPE, stderr=theirs, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stdout) == (0, b"total=3\n")
