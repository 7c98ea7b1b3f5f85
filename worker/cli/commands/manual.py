"""outlast help: the pages of the documentation, which come with the package."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import print_json, print_lines, say
from outlast.worker.cli.streams import is_terminal

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ENDING = ".md"
# The package has no pictures.
PICTURE = re.compile(r"^(!\[.*\]\(images/.*\)|<img .*>)\n+", re.MULTILINE)


def _topics(incomplete: str) -> list[str]:
    from outlast.worker.cli.app import COMMANDS

    return [name for name in (*COMMANDS, *_pages()) if name.startswith(incomplete)]


Topic = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TOPIC", help="A command, or a page.", autocompletion=_topics, show_default=False
    ),
]


def show_help(topic: Topic = None, *, as_json: Json = False, _debug: Debug = False) -> Any:
    """Print the help of a command, or a page of the documentation.

    Without a topic the pages are listed. They are those of this version, and need no network; the
    images leave them out. A terminal gets a page laid out, a pipe or a file as it is written, in
    Markdown.

    Examples:
        outlast help
        outlast help settings
        outlast help writing-a-kernel | less
        outlast help dlq redrive

    Exit codes:
        0  it is printed
        2  there is no such topic
    """
    pages = _pages()
    match topic:
        case None | []:
            titles = {name: _title(page) for name, page in pages.items()}
            if as_json:
                print_json(titles)
            elif not print_lines(f"{name:<18} {title}" for name, title in titles.items()):
                say("this installation has no pages; outlast --help lists the commands")
        case [name] if name in pages:
            text = PICTURE.sub("", pages[name].read_text(encoding="utf-8"))
            _print(name, text, as_json=as_json)
        case _:
            return _print_help_of(topic)
    return None


def _pages() -> dict[str, Traversable]:
    """Return each page by its name; the images hold none."""
    folder = files("outlast") / "docs"
    found = sorted(folder.iterdir(), key=lambda page: page.name) if folder.is_dir() else []
    return {page.name.removesuffix(ENDING): page for page in found if page.name.endswith(ENDING)}


def _title(page: Traversable) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _print(name: str, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"page": name, "text": text})
    elif is_terminal(sys.stdout):
        from rich.console import Console

        from outlast.worker.cli.pages import Page

        Console().print(Page(text))
    else:
        print(text, end="")


def _print_help_of(words: list[str]) -> int:
    from outlast.worker.cli.app import COMMANDS, main

    commands = [*COMMANDS, "dlq"]
    if words[0] not in commands:
        raise typer.BadParameter(
            f"there is no topic {words[0]!r}; the commands are {', '.join(commands)}; "
            f"the pages {', '.join(_pages()) or 'are not installed'}"
        )
    return main([*words, "--help"])
