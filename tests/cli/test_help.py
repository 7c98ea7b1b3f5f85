"""The help, and what it costs to ask."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outlast.worker.cli.app import COMMANDS, main
from outlast.worker.cli.commands import dlq, manual
from tests.cli.process import assert_one_line

if TYPE_CHECKING:
    from tests.cli.process import AtTerminal, Outlast

ROOT = Path(__file__).parents[2]
HEAVY = {"boto3", "botocore", "llvmlite", "numba", "numpy", "redis", "rich"}


ALL = [*COMMANDS, "dlq", *(f"dlq {command}" for command in dlq.COMMANDS)]


@pytest.mark.parametrize("command", ALL)
def test_each_command_has_a_manual(command: str, outlast: Outlast) -> None:
    """A person would have to guess what a command does, or what its exit code means."""
    ended = outlast(*command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Usage: outlast {command}" in ended.out
    assert f"\n  Examples:\n      outlast {command}" in ended.out
    assert "\n  Exit codes:\n      0" in ended.out
    assert "--json" in ended.out
    assert "--debug" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    assert not re.search(r"\{[A-Z]|<[a-z]", ended.out), "Python's types, or typer's braces"


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_first_page_lists_all_commands(words: tuple[str, ...], outlast: Outlast) -> None:
    """A new user would not find their way in."""
    ended = outlast(*words)
    assert (ended.code, ended.err) == (0, "")
    page = ended.out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in page if line] == [*COMMANDS, "dlq"]
    assert not [line for line in page if line.endswith("...")], "a summary is cut"


def test_every_command_that_is_advised_is_there() -> None:
    """A person who follows doctor, an error message or the README would type a wrong command."""
    files = [*(ROOT / "worker").rglob("*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    words = re.compile(r"(?<!from )\boutlast (dlq [a-z]+|[a-z][a-z-]+)")
    advised = {word for file in files for word in words.findall(file.read_text(encoding="utf-8"))}
    assert advised - set(ALL) == set()
    assert {"dlq redrive", "prune", "retry"} <= advised


def test_the_version_is_that_of_the_package(outlast: Outlast) -> None:
    """A report of a bug would name the wrong version."""
    assert outlast("--version") == (0, f"outlast {version('outlast')}\n", "")


@pytest.mark.parametrize(
    ("words", "more"), [(("--help",), {"pydantic"}), (("status", "x"), set()), (("list",), set())]
)
def test_what_answers_at_once_imports_little(words: tuple[str, ...], more: set[str]) -> None:
    """Each look at a job, and each tab of a completion, would take half a second or more."""
    program = (
        "import sys; from outlast.worker.cli import main; main(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert (HEAVY | more) & set(done.stdout.splitlines()[-1].split()) == set()


@pytest.mark.parametrize("words", [("status", "x"), ("dlq", "list", "--help")])
def test_no_other_command_is_imported_nor_what_changes_jobs(words: tuple[str, ...]) -> None:
    """Each command would start as slowly as all of them together."""
    program = (
        "import sys; from outlast.worker.cli import main; main(sys.argv[1:]); "
        "rooms = ('outlast.worker.cli.commands.', 'outlast.worker.jobs.client'); "
        "print(*(name for name in sys.modules if name.startswith(rooms)))"
    )
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"outlast.worker.cli.commands.{words[0]}"


@pytest.mark.parametrize(
    ("words", "offered"),
    [("outlast st", "status"), ("outlast run nth", "nth-prime"), ("outlast list --js", "--json")],
)
def test_a_shell_completes(
    words: str,
    offered: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tab key would do nothing, or print a traceback into the command line."""
    monkeypatch.setenv("_OUTLAST_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert offered in capfd.readouterr().out.split()


def test_the_pages_are_there_without_a_network(outlast: Outlast) -> None:
    """A person on a worker's machine could look up no setting, or would read of another version."""
    pages = {path.stem: path.read_text() for path in (ROOT / "docs").glob("*.md")}
    listed = outlast("help").out.splitlines()
    assert [line.split()[0] for line in listed] == sorted(pages)
    assert "settings           Settings" in listed
    assert outlast("help", "settings") == (0, pages["settings"], "")
    assert json.loads(outlast("help", "parts", "--json").out)["text"] == pages["parts"]
    assert "images/" in pages["usage"]
    assert "images/" not in outlast("help", "usage").out, "the package has none"


def test_a_terminal_gets_a_page_laid_out(terminal: AtTerminal) -> None:
    """A person would read tables as they are written in Markdown."""
    shown = terminal("help", "upgrades", whole=True)
    assert shown.end()[0] == 0
    assert "to do" in shown.seen
    assert "| from | to do |" not in shown.seen


def test_a_narrow_terminal_gets_each_word_whole(terminal: AtTerminal) -> None:
    """A person would have to guess how the URL that they need goes on."""
    shown = terminal("help", "settings", whole=True, columns=60)
    assert shown.end()[0] == 0
    assert "rediss" in shown.seen
    assert "…" not in shown.seen


def test_help_for_a_command_is_its_own(outlast: Outlast) -> None:
    """A person would have to know whether the word or the option is right."""
    assert outlast("help", "dlq", "redrive") == outlast("dlq", "redrive", "--help")
    ended = outlast("help", "nosuch")
    assert_one_line(ended, 2, "there is no topic 'nosuch'; the commands are run, submit, status, ")
    assert "; the pages architecture, " in ended.err


def test_without_the_pages_the_rest_of_help_works(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In an image, which leaves the pages out, `outlast help run` would be a traceback."""
    monkeypatch.setattr(manual, "files", lambda _: tmp_path)
    assert "has no pages; outlast --help lists the commands" in outlast("help").err
    assert outlast("help", "run").out.startswith("Usage: outlast run")
