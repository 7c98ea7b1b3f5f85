"""The page of the workers: what each does, what the queue holds, what the last hour brought."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from outlast.worker.costs.bill import Item, dollars_of, items_of, services_of
from outlast.worker.costs.prices import read_prices
from outlast.worker.dashboard.listing import FIELD_CHARACTERS, address_of
from outlast.worker.dashboard.live import Part, Parts
from outlast.worker.dashboard.rendering import mark_of
from outlast.worker.dashboard.workers import Scene, Work, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outlast.worker.dashboard.rendering import Rendering
    from outlast.worker.jobs.client import Client

MOST_ROWS = 200
FILE = "workers_cells.html"
# The parts of the page and of a row; each is a macro of that name in FILE.
PIECES = (
    *("working", "jobs", "waiting", "oldest", "dead", "queue", "notes"),
    *("empty", "hour", "platforms"),
)
CELLS = ("progress", "saved", "state")

# What the table can be sorted by, as an address names it: what people call that, and the key.
SORTS: dict[str, tuple[str, Callable[[Work], float]]] = {
    "since": ("longest at it", lambda work: work.since),
    "saved": ("longest without a save", lambda work: work.saved_at or work.since),
    "progress": ("progress", lambda work: -(work.progress or 0.0)),
}


class WorkersQuery(NamedTuple):
    """The query of an address: which workers, by a text, and by what they are sorted."""

    text: str = ""
    sort: str = ""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> WorkersQuery:
        """Return the query in an address; an unknown sort counts as none."""
        text = parameters.get("text", "").strip()[:FIELD_CHARACTERS]
        sort = parameters.get("sort", "")
        return cls(text, sort if sort in SORTS else "")

    @property
    def address(self) -> str:
        """The query as a part of an address, with `?`; "": all workers."""
        return address_of(self._asdict())

    def rows(self, works: list[Work]) -> list[Work]:
        """Return those that fit, in order: the ones that may be gone first, then as sorted."""
        text = self.text.casefold()
        fit = [work for work in works if text in " ".join(map(str, work[:5])).casefold()]
        by = SORTS[self.sort][1] if self.sort else lambda _: 0.0
        return sorted(fit, key=lambda work: (work.is_alive, by(work), work.platform, work.worker))


class View(NamedTuple):
    """All that the page shows.

    Attributes:
        scene: what the workers do.
        rows: what the table has; others are left out.
        matching: how many fit the query.
        bill: what the last hour cost.
        query: which workers the rows have.
    """

    scene: Scene
    rows: list[Work]
    matching: int
    bill: list[Item]
    query: WorkersQuery

    @property
    def alive(self) -> list[Work]:
        """What workers have whose lease holds."""
        return [work for work in self.scene.works if work.is_alive]

    @property
    def platforms(self) -> list[tuple[str, int, int, float, float | None]]:
        """Of each platform: workers now; slices, seconds and dollars of the last hour."""
        counts = Counter(work.platform for work in self.alive)
        usage = self.scene.hour.consumption.platforms
        prices = {item.what: item.dollars for item in self.bill}
        return [
            (
                name,
                counts[name],
                usage[name].slices if name in usage else 0,
                usage[name].seconds if name in usage else 0.0,
                prices.get(name, 0.0),
            )
            for name in sorted(counts.keys() | usage.keys())
        ]

    @property
    def dollars(self) -> tuple[float, bool]:
        """What the last hour cost, and whether all of it has a price."""
        return dollars_of(self.bill)


class WorkersPage:
    """The page, and the parts of it that change. All viewers share one look at store and queue."""

    def __init__(self, client: Client, rendering: Rendering) -> None:
        self._workers = Workers(client)
        self._rendering = rendering
        self._prices = read_prices(client.settings.prices)
        self._services = services_of(client.settings)

    def whole(self, query: WorkersQuery, *, csrf: str) -> str:
        """Return the page; in an outage it has what is known, and says so."""
        view = self._look(query)
        return self._rendering.page(
            "workers.html",
            query=query,
            sorts=SORTS,
            view=view,
            mark=_mark_of(view),
            prices=self._prices,
            outage=view.scene.outage,
            seen_at=view.scene.read_at,
            csrf=csrf,
            events=f"/events/workers{query.address}",
        )

    def parts(self, query: WorkersQuery) -> Parts:
        """Return the parts of the page that may change."""
        view = self._look(query)
        rows = self._rendering.page("workers_rows.html", view=view)
        parts = {
            "rows": Part(rows, _mark_of(view)),
            "outage": self._rendering.part("outage", view.scene.outage, seen_at=view.scene.read_at),
        }
        parts |= {name: self._rendering.part(name, view, file=FILE) for name in PIECES}
        for work in view.rows:
            for name in CELLS:
                parts[f"{name}/{work.key}"] = self._rendering.part(name, work, file=FILE)
        return parts

    def _look(self, query: WorkersQuery) -> View:
        scene = self._workers.look()
        rows = query.rows(scene.works)
        bill = items_of(scene.hour.consumption, self._prices, self._services)
        return View(scene, rows[:MOST_ROWS], len(rows), bill, query)


def _mark_of(view: View) -> str:
    rows = (f"{w.key} {w.worker} {w.since}" for w in view.rows)
    return mark_of("\n".join((*rows, str(view.matching))))
