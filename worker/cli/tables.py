"""Tables of plain text: whole for a program, on a terminal no wider than that."""

from __future__ import annotations

import shutil
import sys
import textwrap
from string import Formatter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CUT = "…"
# What is left of a column that is made narrower, or that has no width of its own.
LEAST_CELLS = 8


class _Column(NamedTuple):
    """One column: its name, what stands before it, its alignment and width in cells; 0: any."""

    name: str
    gap: str
    align: str
    width: int

    def cell(self, text: str) -> str:
        """Return the text with what stands before it, as wide as the column at least."""
        return f"{self.gap}{text:{self.align}{self.width or ''}}"


class Columns:
    """The columns of a table, written as for `str.format`.

    A pipe gets each row whole. On a terminal that is too narrow the columns of `first_out` are left
    out, in this order, as many as it takes, then `narrow` gets narrower (by default the first one);
    of a row that is still too long, long cells are cut, then its end. With `last_wraps` the last
    cell is prose, and goes on below itself. `last_cells` is how much room the last column, which
    has no width then, gets by the leaving out of those before it in `first_out`.
    """

    def __init__(
        self,
        form: str,
        *names: str,
        first_out: Sequence[str] = (),
        narrow: str | None = None,
        last_wraps: bool = False,
        last_cells: int = LEAST_CELLS,
    ) -> None:
        parsed = [(gap, spec or "") for gap, _, spec, _ in Formatter().parse(form)]
        self._columns = [
            _Column(name, gap, spec[:1], int(spec[1:] or 0))
            for name, (gap, spec) in zip(names, parsed, strict=True)
        ]
        self._first_out = first_out
        self._narrow = narrow or names[0]
        self._last_wraps = last_wraps
        self._last_cells = last_cells

    @property
    def heading(self) -> str:
        """The line above the rows."""
        return self.row(*(column.name for column in self._columns))

    def row(self, *cells: object) -> str:
        """Return a row as one line."""
        pairs = list(zip(self._columns, map(str, cells), strict=True))
        width = terminal_columns()
        if width is None:
            return _line(pairs)
        columns = self._fitted(width)
        pairs = [(columns[at], text) for at, (_, text) in enumerate(pairs) if at in columns]
        if _cells(_line(pairs)) <= width:
            return _line(pairs)
        pairs = [(column, cut(text, column.width or width)) for column, text in pairs]
        if self._last_wraps:
            before = _line([*pairs[:-1], (pairs[-1][0], CUT)]).removesuffix(CUT)
            return before + wrapped(str(cells[-1]), _cells(before))
        return cut(_line(pairs), width)

    def _fitted(self, width: int) -> dict[int, _Column]:
        """Return the columns that a terminal of this width has room for, by their place."""
        columns = dict(enumerate(self._columns))
        least = self._last_cells
        for name in self._first_out:
            if name == self._columns[-1].name:
                least = LEAST_CELLS  # Narrow is better than left out.
            if _excess(columns, width, least) > 0:
                columns = {at: column for at, column in columns.items() if column.name != name}
        if (excess := _excess(columns, width, LEAST_CELLS)) > 0:
            for at, column in columns.items():
                if column.name == self._narrow:
                    columns[at] = column._replace(width=max(column.width - excess, LEAST_CELLS))
        return columns


def _excess(columns: Mapping[int, _Column], width: int, least: int) -> int:
    """Return how many cells a terminal lacks, where a column without a width gets `least`."""
    return sum(len(column.gap) + (column.width or least) for column in columns.values()) - width


def _line(pairs: Iterable[tuple[_Column, str]]) -> str:
    return "".join(column.cell(text) for column, text in pairs).rstrip()


def terminal_columns() -> int | None:
    """Return how wide the terminal is to which standard output goes; None: it does not."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cut(text: str, width: int) -> str:
    """Return the text, or as much of it as a terminal shows in `width` cells, with its cut."""
    if _cells(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + CUT
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + CUT


def _cells(text: str) -> int:
    """Return how many cells of a terminal the text takes; a Chinese character has two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, indent: int) -> str:
    """Return prose broken between words for a terminal, its further lines `indent` cells in.

    The first one begins there, too, or before. A pipe gets one line, and a word that is longer than
    a line stays whole: a person may copy it.
    """
    width = terminal_columns()
    if width is None or indent + _cells(text) <= width:
        return text
    lines = textwrap.wrap(
        text,
        max(width - indent, LEAST_CELLS),
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return f"\n{' ' * indent}".join(lines)
