"""Turns a command's docstring into the text of its --help."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# At the head of a paragraph it stops typer from filling the lines.
AS_IT_IS = "\b\n"


def manual(command: Callable[..., Any]) -> str:
    """Return the docstring, marked so that paragraphs with indented lines keep their form."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(AS_IT_IS + p if "\n    " in p else p for p in paragraphs)
