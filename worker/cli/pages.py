"""A page of the manual as a terminal shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markdown import Markdown, TableElement
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


class _WholeTable(TableElement):
    """A table in which a long word goes on below itself, and is not cut short: it may be a URL."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class Page(Markdown):
    """Markdown, laid out."""

    elements = Markdown.elements | {"table_open": _WholeTable}
