"""What jobs have taken, and what that costs by a price table.

Exact are the seconds that workers were occupied, from the claim of each slice to its release, and
the number of writes to the store. Reads and requests to the queue follow from the protocol
(`Requests`): they are an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.parts import PlatformUsage
from outlast.worker.costs.prices import MB_PER_GB, lambda_size

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.costs.prices import Prices
    from outlast.worker.settings import Settings


WAYS = ("write", "read")  # A store may have a price for each.


@dataclass(frozen=True)
class Consumption:
    """What jobs have taken; that of several is their sum.

    Attributes:
        usage: ended slices, and the seconds that workers were occupied with them, by platform.
        slices: how many were begun.
        writes: how often records were written.
        saved_bytes: the size of all states stored, before they were deflated.
        compute_seconds, redone_seconds: see `outlast.checkpoint.record.Record`.
    """

    usage: dict[str, PlatformUsage] = field(default_factory=dict)
    slices: int = 0
    writes: int = 0
    saved_bytes: int = 0
    compute_seconds: float = 0.0
    redone_seconds: float = 0.0

    def __add__(self, other: Consumption) -> Consumption:
        """Return what both took."""
        usage = dict(self.usage)
        for platform, more in other.usage.items():
            had = usage.get(platform, PlatformUsage())
            # Not checked: a sum of what was stored may be beyond what is.
            usage[platform] = PlatformUsage.model_construct(
                slices=had.slices + more.slices, seconds=had.seconds + more.seconds
            )
        return Consumption(
            usage=usage,
            slices=self.slices + other.slices,
            writes=self.writes + other.writes,
            saved_bytes=self.saved_bytes + other.saved_bytes,
            compute_seconds=self.compute_seconds + other.compute_seconds,
            redone_seconds=self.redone_seconds + other.redone_seconds,
        )

    @property
    def occupied_seconds(self) -> float:
        """How long workers were occupied, on all platforms."""
        return sum(usage.seconds for usage in self.usage.values())

    @property
    def wasted_share(self) -> float | None:
        """How much of the kernel's time was lost to crashes, at most; None if it had none."""
        return self.redone_seconds / self.compute_seconds if self.compute_seconds else None

    @property
    def overhead_share(self) -> float | None:
        """How much of the workers' time was not the kernel's; None if no slice has ended."""
        occupied = self.occupied_seconds
        return max(occupied - self.compute_seconds, 0.0) / occupied if occupied else None


def consumption_of(record: Record) -> Consumption:
    """Return what a job has taken; a slice that runs counts when it ends."""
    return Consumption(
        usage=dict(record.usage.platforms),
        slices=record.usage.slices_begun,
        writes=record.revision.writes,
        saved_bytes=record.usage.saved_bytes,
        compute_seconds=record.usage.compute_seconds,
        redone_seconds=record.usage.redone_seconds,
    )


class Requests(NamedTuple):
    """How many requests went to the store, to the queue and to Lambda.

    By the protocol (docs/protocol.md) a slice reads the record once and writes it three times: the
    claim, the release and the note that the next slice was announced, which the last slice leaves
    out; there the write that created the job stands for it. All other writes are checkpoints, and
    each extends the visibility timeout. A slice's message is received, sent and deleted. A message
    from Lambda's event source is hidden once more, as nobody could say for how long when it was
    received; on Lambda each slice is an invocation.

    Not in it: receives that find nothing, sweeps, duplicates, and people who look at a job.
    """

    reads: int
    writes: int
    queue: int
    invocations: int


def requests_of(taken: Consumption) -> Requests:
    """Return the requests that these slices and writes stand for."""
    invocations = sum(
        usage.slices for platform, usage in taken.usage.items() if lambda_size(platform)
    )
    checkpoints = max(taken.writes - 3 * taken.slices, 0)
    return Requests(
        reads=taken.slices,
        writes=taken.writes,
        queue=3 * taken.slices + checkpoints + invocations,
        invocations=invocations,
    )


class Item(NamedTuple):
    """A line of a bill.

    Attributes:
        what: a platform, or a kind of requests.
        amount, unit: how much of it: seconds ("s"), GB-seconds ("GB-s") or requests.
        dollars: what that costs; None if the price table does not tell.
    """

    what: str
    amount: float
    unit: str
    dollars: float | None


class Services(NamedTuple):
    """Which store and queue the requests went to, in the words of the price table."""

    store: str
    queue: str


def services_of(settings: Settings) -> Services:
    """Return the store and the queue that the settings name."""
    scheme = settings.store.partition(":")[0]
    store = "redis" if scheme == "rediss" else scheme
    if settings.queue.startswith("sqlite:"):
        return Services(store, "sqlite")
    return Services(store, "sqs.fifo" if settings.queue.endswith(".fifo") else "sqs")


def items_of(taken: Consumption, prices: Prices, services: Services) -> list[Item]:
    """Return the lines of the bill: the platforms by name, then the requests there were."""
    store, queue = services
    requests, million = requests_of(taken), prices.million
    writing, reading = (million.get(f"{store}.{way}", million.get(store)) for way in WAYS)
    counted = [
        ("lambda invocations", requests.invocations, million["lambda"]),
        (f"{store} store writes", requests.writes, writing),
        (f"{store} store reads", requests.reads, reading),
        (f"{queue} queue requests", requests.queue, million[queue]),
    ]
    return [
        *(_worked(name, usage, prices) for name, usage in sorted(taken.usage.items())),
        *(
            Item(what, count, "requests", None if price is None else count * price / 1e6)
            for what, count, price in counted
            if count
        ),
    ]


def dollars_of(items: list[Item]) -> tuple[float, bool]:
    """Return what the items cost together, and whether each of them has a price."""
    known = [item.dollars for item in items if item.dollars is not None]
    return sum(known), len(known) == len(items)


def _worked(platform: str, usage: PlatformUsage, prices: Prices) -> Item:
    """Return the line for the workers of one platform."""
    price = prices.worker_second(platform)
    dollars = None if price is None else usage.seconds * price
    if size := lambda_size(platform):
        return Item(platform, usage.seconds * size[1] / MB_PER_GB, "GB-s", dollars)
    return Item(platform, usage.seconds, "s", dollars)
