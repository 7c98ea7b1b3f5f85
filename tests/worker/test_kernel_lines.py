"""What a kernel prints and logs is in the log, and says whose it is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.last_lines import LINE_CHARACTERS, MAX_LINES, line_of, with_fresh
from outlast.kernel import Resources
from outlast.kernel.bulk import dumped
from outlast.worker.cli.logs import log_to_stderr
from outlast.worker.settings import Settings
from outlast.worker.slices.held import Busy
from outlast.worker.slices.isolation.parent import isolated
from outlast.worker.telemetry.kernel_lines import (
    MAX_CHARACTERS,
    Source,
    heard,
    last_lines,
    not_hearing,
)
from outlast.worker.telemetry.switches import log_on_platform
from tests.worker.curious import FAREWELL, Curious, Params
from tests.worker.floor import JOB

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worker.floor import Floor

    Said = Callable[..., list[dict[str, Any]]]

WHOSE = {"job_id": JOB, "kernel": "counting", "slice": 1, "worker": "w"}
SOURCE = Source(**WHOSE)
BOTH = pytest.mark.parametrize("isolate", [False, True], ids=["here", "isolated"])


@pytest.fixture
def said(floor: Floor, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a slice of a kernel that talks, and return the lines of the log that are its own."""

    def run(how: str, *, isolate: bool, level: str = "INFO", steps: int = 1) -> Any:
        log_to_stderr(level, log_format="json", kernels=True)
        floor.run(Curious(), isolate=isolate, how=how, steps=steps)
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = [json.loads(line) for line in printed.err.splitlines()]
        return [line for line in lines if "event" not in line]

    return run


@BOTH
@pytest.mark.parametrize(
    ("how", "by", "message"),
    [
        ("prints", "kernel INFO", "loss 0.5"),
        ("prints to standard error", "kernel INFO", "careful"),
        ("prints half a line", "kernel INFO", "half"),
        ("prints a bar", "kernel INFO", " 90%"),
        ("logs", "my.package INFO", "loss is 0.5"),
        ("logs to its resources", "kernel WARNING", "no space"),
    ],
)
def test_a_line_says_whose_it_is(
    said: Said, how: str, by: str, message: str, isolate: bool
) -> None:
    """Who searches the log for a job would not find what its kernel says."""
    (line,) = said(how, isolate=isolate)
    assert line.pop("timestamp")
    logger, level = by.split()
    assert line == {"level": level, "logger": logger, "message": message, **WHOSE}


@pytest.mark.parametrize(
    ("how", "message"), [("writes from C", "from C"), ("starts a program", "from a program")]
)
def test_what_native_code_and_programs_write_is_heard(said: Said, how: str, message: str) -> None:
    """A library's warning would break a log of JSON, and belong to no job."""
    (line,) = said(how, isolate=True)
    assert (line["message"], line["job_id"]) == (message, JOB)


@BOTH
def test_the_level_of_the_log_counts(said: Said, isolate: bool) -> None:
    """A kernel that prints a lot could not be silenced."""
    assert said("prints", isolate=isolate, level="WARNING") == []


@BOTH
def test_no_library_is_heard_below_info(said: Said, isolate: bool) -> None:
    """With the log at DEBUG, compilers and HTTP clients would bury a kernel's own lines."""
    assert [line["level"] for line in said("logs", isolate=isolate, level="DEBUG")] == ["INFO"]


@BOTH
def test_many_lines_come_whole_and_in_order(said: Said, isolate: bool) -> None:
    """A kernel that prints more than a pipe holds would stand still, or lose lines."""
    lines = [line["message"] for line in said("prints much", isolate=isolate)]
    assert lines == [f"row {number}" for number in range(20_000)]


@BOTH
def test_the_last_lines_are_kept_with_the_job(said: Said, floor: Floor, isolate: bool) -> None:
    """Who looks at a job that runs on Lambda would have to search a log for what it says."""
    said("prints much", isolate=isolate)
    first = 20_000 - MAX_LINES  # A record must stay small.
    expected = [(1, f"row {number}") for number in range(first, 20_000)]
    assert [(number, text) for _, number, text in floor.record.lines] == expected


def test_what_an_error_says_is_kept_and_what_is_secret_is_not() -> None:
    """The reason would be lost with the worker; or a password be shown to all who see the job."""
    log_to_stderr("INFO", kernels=True)
    with heard(SOURCE):
        sys.stdout.write("at redis://me:hidden@host/0 \ud800\x1b[31m" + "x" * 200 + "\n")
        logging.getLogger("my.package").error("no\nway", exc_info=ValueError("bad"))
    texts = [text for _, _, text in last_lines(JOB)]
    assert texts[0].startswith("at redis://***@host/0 \\ud800\\x1b[31mxxx")
    assert len(texts[0]) == LINE_CHARACTERS
    assert texts[1:] == ["no", "way", "ValueError: bad"]
    assert last_lines("another job") == []


def test_lines_of_earlier_slices_make_room_for_those_of_this_one() -> None:
    """A line would be there twice after each save, or those of the slice before never go."""
    first = [line_of(1.0, 1, f"a{number}") for number in range(MAX_LINES)]
    second = [line_of(2.0, 2, "b0")]
    kept = with_fresh(tuple(first), second)
    kept = with_fresh(kept, [*second, line_of(3.0, 2, "b1")])
    assert [text for _, _, text in kept] == [f"a{n}" for n in range(2, MAX_LINES)] + ["b0", "b1"]


def test_an_isolated_kernel_can_say_goodbye(capsys: pytest.CaptureFixture[str]) -> None:
    """It would wait for a reader, and be killed while it closes its files."""
    log_to_stderr("INFO", log_format="json", kernels=True)
    steps = isolated(Curious(), [dumped(Params(steps=9, how="says goodbye"))], Resources())
    assert any(not isinstance(state, Busy) for state in steps)
    steps.close()
    lines = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert lines == FAREWELL.splitlines()


def test_one_that_talks_for_ever_can_be_stopped() -> None:
    """Its slice would have no end, and a stop signal no effect."""
    log_to_stderr("ERROR", kernels=True)
    steps = isolated(Curious(), [dumped(Params(how="prints for ever"))], Resources())
    assert all(isinstance(next(steps), Busy) for _ in range(50))
    steps.close()


def test_the_last_words_of_a_crash_are_heard(said: Said) -> None:
    """Nobody would learn where in native code a kernel has died."""
    lines = [line["message"] for line in said("is cut short", isolate=True)]
    assert lines[0].startswith("before")
    assert any("curious.py" in line for line in lines), lines


@BOTH
def test_a_traceback_is_shown_where_it_is_wanted(
    floor: Floor, capsys: pytest.CaptureFixture[str], isolate: bool
) -> None:
    """An author could not find the line at fault, or each error would fill a screen."""
    for debug in (False, True):
        log_to_stderr("INFO", log_format="json", debug=debug, kernels=True)
        floor.kernel = Curious()
        floor.submit(f"job-{debug}", how="logs an error", steps=1)
        floor.work(floor.process(isolate=isolate))
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        (line,) = [line for line in lines if line["logger"] == "my.package"]
        assert (line["message"], line["level"]) == ("left out", "ERROR")
        assert ("ValueError: invalid literal" in line.get("traceback", "")) is debug


def test_text_says_whose_it_is(floor: Floor, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker's log would not tell which of its jobs has said something."""
    log_to_stderr("INFO", kernels=True)
    floor.run(Curious(), how="prints", steps=1)
    assert " INFO job job-1 slice 1 on w: loss 0.5\n" in capsys.readouterr().err


def test_where_nobody_hears_kernels_they_print(
    floor: Floor, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who runs slices in a program of their own would not see what they print."""
    floor.run(Curious(), how="prints", steps=1)
    assert capsys.readouterr().out == "loss 0.5\n"


def test_a_line_without_an_end_is_a_line_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A kernel that prints dots for days would fill the memory."""
    log_to_stderr("INFO", log_format="json", kernels=True)
    with heard(SOURCE):
        for _ in range(MAX_CHARACTERS + 2):
            sys.stdout.write(".")
    lengths = [len(json.loads(line)["message"]) for line in capsys.readouterr().err.splitlines()]
    assert lengths == [MAX_CHARACTERS + 1, 1]


def test_a_kernel_that_sets_up_logging_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """Many a package calls basicConfig or dictConfig, and its prints would be lost or loop."""
    import logging.config

    root = logging.getLogger()
    before = list(root.handlers)
    log_to_stderr("INFO", log_format="json", kernels=True)
    try:
        with heard(SOURCE):
            logging.config.dictConfig({"version": 1})
            sys.stdout.write("printed\n")
            logging.basicConfig(format="own %(message)s", level="INFO", force=True)
            logging.getLogger("own").info("logged")
        logging.getLogger("own").info("late")
    finally:
        root.handlers = before
    *lines, late = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["printed", "own logged"]
    assert all(json.loads(line)["job_id"] == JOB for line in lines)
    assert late == "own late"


def test_a_closed_stream_stays_open(capsys: pytest.CaptureFixture[str]) -> None:
    """A kernel that closes its standard output would silence the worker."""
    log_to_stderr("INFO", kernels=True)
    with heard(SOURCE):
        sys.stdout.close()
    sys.stdout.write("still here\n")
    assert capsys.readouterr().out == "still here\n"


def test_another_thread_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """What a kernel's threads print would break a log of JSON."""
    log_to_stderr("INFO", log_format="json", kernels=True)
    with heard(SOURCE):
        thread = threading.Thread(target=print, args=["from a thread"])
        thread.start()
        thread.join()
    assert json.loads(capsys.readouterr().err)["message"] == "from a thread"


PRINTS_WHILE_A_SLICE_ENDS = """
import threading
from outlast.worker.cli.logs import log_to_stderr
from outlast.worker.telemetry.kernel_lines import Source, heard

prints, is_over = threading.Event(), threading.Event()

class Slow:
    def __str__(self):
        prints.set()
        is_over.wait()
        return "afterwards"

log_to_stderr("INFO", kernels=True)
thread = threading.Thread(target=print, args=["during", Slow()])
with heard(Source("j", "k", 1, "w")):
    thread.start()
    prints.wait()
is_over.set()
thread.join()
"""


def test_a_thread_may_print_while_a_slice_ends() -> None:
    """The process would end by signal 11: RunPod's SDK prints in threads of its own."""
    command = [sys.executable, "-c", PRINTS_WHILE_A_SLICE_ENDS]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "afterwards\n"), ran.stderr
    assert ran.stderr.endswith("slice 1 on w: during\n")


def test_what_a_thread_leaves_in_place_of_standard_output_is_printed_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kernel's thread that ends a redirection late would make each later slice fail."""
    log_to_stderr("INFO", log_format="json", kernels=True)
    with heard(SOURCE):
        left = sys.stdout
    monkeypatch.setattr(sys, "stdout", left)
    with heard(SOURCE):
        sys.stdout.write("heard\n")
    sys.stdout.write("as it is\n")
    printed = capsys.readouterr()
    assert json.loads(printed.err)["message"] == "heard"
    assert printed.out == "as it is\n"


def test_the_lines_of_a_handler_that_prints_are_no_kernels(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Lambda's handler prints: each event would be a line of the kernel, and a line in a line."""

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sys.stdout.write(self.format(record) + "\n")

    log, handler = logging.getLogger("outlast"), Printing()
    handler.handle = not_hearing(handler.handle)  # type: ignore[method-assign, assignment]
    log_to_stderr("INFO", kernels=True)
    log.handlers = [handler]
    with heard(SOURCE):
        log.warning("an event")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("an event\n", "")


def test_platforms_hear_kernels(
    monkeypatch: pytest.MonkeyPatch, floor: Floor, capsys: pytest.CaptureFixture[str]
) -> None:
    """On RunPod and Lambda a kernel's prints would belong to no job."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("at work: %(message)s"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    log_on_platform(Settings())
    floor.run(Curious(), how="logs", steps=1)
    assert "at work: job job-1 slice 1 on w: loss is 0.5\n" in capsys.readouterr().err
