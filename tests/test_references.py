"""What the pages refer to is there: files, names, options, settings, targets and links."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import NAMES
from outlast.worker.cli.app import main
from outlast.worker.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "deploy/README.md"]
PAGES += ROOT.glob("examples/*/README.md")
TEXT = "\n".join(page.read_text() for page in PAGES)
CODE = re.findall(r"```.*?```|`[^`]+`", TEXT, re.DOTALL)
SOURCES = ("checkpoint", "kernel", "worker")
FOLDERS = (*SOURCES, "bench", "deploy", "docs", "examples", "tests")
FILES = {path.name for folder in FOLDERS for path in ROOT.joinpath(folder).rglob("*")}
TARGETS = {
    name
    for makefile in ("Makefile", "deploy/stack.mk")
    for name in re.findall(r"^([a-z-]+):", ROOT.joinpath(makefile).read_text(), re.MULTILINE)
}
# What `outlast new-kernel longest-walk` writes.
OF_A_NEW_KERNEL = {"longest_walk.py", "test_longest_walk.py", "pyproject.toml", "loop.py"}


@pytest.mark.parametrize(
    ("pattern", "exists"),
    [
        (rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./*-]*\w", lambda path: any(ROOT.glob(path))),
        (r"^`(\w+\.py|\w+\.toml)`$", lambda name: name in FILES | OF_A_NEW_KERNEL),
        (r"\boutlast\.(?:[A-Z]|(?:worker|checkpoint|kernel|testing)\b)[\w.]*", resolve_name),
        (rf"\b{PREFIX}([A-Z_]*[A-Z])\b", lambda name: name.lower() in Settings.model_fields),
        (r"\bmake ([a-z-]+)", lambda name: name in TARGETS),
        (r"\bpython -m bench ([a-z_ ]+)", lambda names: {*names.split()} <= {*NAMES}),
    ],
    ids=["path", "file", "name", "setting", "target", "measurement"],
)
def test_what_is_named_is_there(pattern: str, exists: Callable[[str], object]) -> None:
    """A reader would look for a file or type a command that is not there."""
    named = {name for code in CODE for name in re.findall(pattern, code)}
    assert named
    assert [name for name in sorted(named) if not exists(name)] == []


def test_the_protocol_uses_the_names_of_the_code() -> None:
    """A reader who looks up a row of the protocol's tables would not find it in the code."""
    named = set(re.findall(r"`([A-Z][a-z]\w+)`", ROOT.joinpath("docs/protocol.md").read_text()))
    sources = [
        path.read_text() for folder in SOURCES for path in ROOT.joinpath(folder).rglob("*.py")
    ]
    classes = set(re.findall(r"^class (\w+)", "\n".join(sources), re.MULTILINE))
    assert {"NotifyTargets", "Errored", "LeaseLost"} <= named
    assert named - classes - set(dir(builtins)) == set()


def test_every_option_is_one_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader would type a line from a page and be told that there is no such option."""
    options: dict[str, set[str]] = {}
    for code in CODE:
        for command, rest in re.findall(r"\boutlast ((?:dlq )?[a-z-]+)([^`\n|&]*)", code):
            options.setdefault(command, set()).update(re.findall(r"--[a-z-]+", rest))
    assert {"fork", "submit", "dlq redrive"} <= options.keys()
    for command, named in options.items():
        main([*command.split(), "--help"])
        assert named - set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) == set(), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A reader would meet a page, or a heading, that is not there."""
    for link, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
        if "://" not in link:
            target = page.parent / link if link else page
            assert target.exists(), link
            assert not anchor or anchor in headings(target), f"{link}#{anchor}"


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
