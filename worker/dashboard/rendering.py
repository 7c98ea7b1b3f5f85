"""The templates, which escape every text from outside, and the pieces of pages made of them."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from outlast.checkpoint.status import Status
from outlast.checkpoint.view import moment
from outlast.worker.dashboard import figures, words
from outlast.worker.dashboard.listing import SORTS
from outlast.worker.dashboard.live import Part
from outlast.worker.dashboard.plot import HEIGHT, LEFT, WIDTH, plot_of
from outlast.worker.dashboard.steering import ASKING, buttons_for
from outlast.worker.dashboard.strip import HEIGHT as STRIP_HEIGHT
from outlast.worker.dashboard.strip import WIDTH as STRIP_WIDTH
from outlast.worker.dashboard.strip import Cell, Row, Seen, cells_of, rows_of
from outlast.worker.telemetry.rate import Rate, rate_of, speed

if TYPE_CHECKING:
    from outlast.worker.dashboard.guard import Keys

CELLS = "cells.html"


class Rendering:
    """Renders whole pages, and macros of a template as parts that change."""

    def __init__(self, keys: Keys) -> None:
        """The form of the login has the seal of `keys`.

        Other forms have the seal `csrf` of their viewer. Parts that change have none, as all
        viewers get the same.
        """
        self._env = _environment()
        self._common = {
            "login_csrf": keys.seal("login"),
            "has_login": keys.token is not None,
        }

    def page(self, name: str, **values: Any) -> str:
        """Return a template with these values."""
        return self._env.get_template(name).render(self._common | values)

    def cell(self, name: str, value: Any, *, file: str = CELLS, **options: Any) -> str:
        """Return what the macro `name` makes of a value."""
        module = self._env.get_template(file).make_module(self._common)
        return str(getattr(module, name)(value, **options))

    def part(self, name: str, value: Any, *, file: str = CELLS, **options: Any) -> Part:
        """Return the same as a part that is sent where it has changed."""
        html = self.cell(name, value, file=file, **options)
        return Part(html, mark_of(html))


def mark_of(text: str) -> str:
    """Return a mark that texts have in common which are equal."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@cache
def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("outlast.worker.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        name: getattr(words, name)
        for name in ("line", "block", "params", "percent", "duration", "size", "dollars")
    }
    env.filters |= {"moment": moment, "speed": speed}
    env.globals |= {
        "statuses": list(Status),
        "sorts": SORTS,
        "rate_of": _rate_of,
        "strip_of": _strip_of,
        "strip_size": (STRIP_WIDTH, STRIP_HEIGHT),
        "plot_of": plot_of,
        "figures_of": figures.figures_of,
        "buttons_for": buttons_for,
        "asking": ASKING,
        "plot_size": (WIDTH, HEIGHT, LEFT),
        "figure_height": figures.HEIGHT,
    }
    return env


def _strip_of(job: Seen) -> tuple[list[Cell], list[Row]] | None:
    """Return the cells and the rows of a divided job; None: it has none."""
    parts = job.parts
    return (cells_of(parts), rows_of(parts)) if parts and parts.all else None


def _rate_of(job: Seen) -> Rate | None:
    """Return a running job's rate; None: it does not run, or its rate is not known."""
    if job.status is not Status.RUNNING:
        return None
    rate = job.parts.rate if job.parts else rate_of(job.record, job.at)
    return rate if rate.per_second else None
