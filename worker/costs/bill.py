"""What jobs have taken, and what that costs by a price table.

Exact are the seconds that workers were occupied, from the claim of each slice to its release, and
the number of writes to the store. Reads and requests to the queue are estimated from the protocol:
see `Requests`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.record_parts import PlatformUsage
from outlast.worker.costs.prices import MB_PER_GB, lambda_size

if TYPE_CHECKING:
    from outlast.checkpoint.fields import Platform
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record_parts import Usage
    from outlast.worker.costs.prices import Prices
    from outlast.worker.settings import Settings


@dataclass(frozen=True)
class Consumption:
    """What jobs have taken; for several jobs add them up.

    Attributes:
        platforms: by platform, the slices that ended and the seconds that they occupied workers.
        jobs: how many jobs they are.
        parts: how many parts were begun of those that are divided.
        slices: how many slices began.
        writes: how often records were written.
        saved_bytes: the size of all stored states, before compression.
        compute_seconds, redone_seconds: see `outlast.checkpoint.record.Record`.
    """

    platforms: dict[Platform, PlatformUsage] = field(default_factory=dict)
    jobs: int = 0
    parts: int = 0
    slices: int = 0
    writes: int = 0
    saved_bytes: int = 0
    compute_seconds: float = 0.0
    redone_seconds: float = 0.0

    def __add__(self, other: Consumption) -> Consumption:
        """Return what both took."""
        platforms = dict(self.platforms)
        for platform, more in other.platforms.items():
            usage = platforms.get(platform, PlatformUsage())
            # Not validated: a sum may be larger than what a record may hold.
            platforms[platform] = PlatformUsage.model_construct(
                slices=usage.slices + more.slices, seconds=usage.seconds + more.seconds
            )
        return Consumption(
            platforms=platforms,
            jobs=self.jobs + other.jobs,
            parts=self.parts + other.parts,
            slices=self.slices + other.slices,
            writes=self.writes + other.writes,
            saved_bytes=self.saved_bytes + other.saved_bytes,
            compute_seconds=self.compute_seconds + other.compute_seconds,
            redone_seconds=self.redone_seconds + other.redone_seconds,
        )

    @property
    def occupied_seconds(self) -> float:
        """How long workers were occupied, on all platforms."""
        return sum(usage.seconds for usage in self.platforms.values())

    @property
    def wasted_share(self) -> float | None:
        """How much was lost to crashes or thrown away, of that and what was computed; None: of 0 s.

        What a crash loses is not in `compute_seconds`, as nobody is left to report it.
        """
        seconds = self.compute_seconds + self.redone_seconds
        return self.redone_seconds / seconds if seconds else None

    @property
    def overhead_share(self) -> float | None:
        """How much of the workers' time was not the kernel's; None if no slice has ended."""
        occupied = self.occupied_seconds
        return max(occupied - self.compute_seconds, 0.0) / occupied if occupied else None


def consumption_of(record: Head, usage: Usage | None = None) -> Consumption:
    """Return what a job has taken; a slice that runs counts when it ends.

    `usage` is that of the job with all its parts; None: it is in the record. Nothing counts the
    writes of parts: their number follows from the protocol.
    """
    usage = usage or record.usage
    parts = min(record.fleet.parts, usage.slices_begun) if record.fleet else 0
    writes = record.revision.writes + 1  # the job's mark in the index of open jobs
    if parts:
        writes += writes_of_parts(parts, usage.slices_begun, usage.saves)
    return Consumption(
        platforms=dict(usage.platforms),
        jobs=1,
        parts=parts,
        slices=usage.slices_begun,
        writes=writes,
        saved_bytes=usage.saved_bytes,
        compute_seconds=usage.compute_seconds,
        redone_seconds=usage.redone_seconds,
    )


def writes_of_parts(parts: int, slices: int, saves: int) -> int:
    """Return how often the records of so many parts, and of their groups, are written.

    Each slice is claimed and released, each but the last of a part is announced, and one group in
    all stands for 15 parts: 16, and 16 groups, and so on.
    """
    return 3 * slices - parts + saves + parts // 15


# Beside the read of each slice, and of the job after each save.
READS_A_PART = 10


class Requests(NamedTuple):
    """How many requests went to the store, to the queue and to Lambda.

    By the protocol (docs/protocol.md) a slice reads the record once and writes it three times, or
    less often where that does: the claim, the release, and a third one that marks the next slice as
    announced; the last slice has none, but the job's creation is a write, too, after one that marks
    it as open. All other writes are checkpoints, and each extends the visibility timeout. A slice's
    message is received, sent and deleted. On Lambda each slice is an invocation, and its message is
    hidden once more, as its visibility timeout is not known.

    A part is read with its job, looks at its job after each save, and at its neighbours at its end:
    6 of them on average, and the groups above it.

    Not counted: receives without a message, sweeps, duplicates, and people who look at a job.
    """

    reads: int
    writes: int
    queue: int
    invocations: int


def requests_of(consumption: Consumption) -> Requests:
    """Return the requests that these slices and writes took."""
    platforms, slices = consumption.platforms, consumption.slices
    invocations = sum(usage.slices for name, usage in platforms.items() if lambda_size(name))
    checkpoints = max(consumption.writes - consumption.jobs - 3 * slices, 0)
    of_parts = READS_A_PART * consumption.parts + (checkpoints if consumption.parts else 0)
    return Requests(
        reads=slices + of_parts,
        writes=consumption.writes,
        queue=3 * slices + checkpoints + invocations,
        invocations=invocations,
    )


class Item(NamedTuple):
    """A line of a bill.

    Attributes:
        what: a platform, or a kind of requests.
        amount, unit: how much of it: seconds ("s"), GB-seconds ("GB-s") or "requests".
        dollars: what that costs; None if it is not in the price table.
    """

    what: str
    amount: float
    unit: str
    dollars: float | None


class Services(NamedTuple):
    """Which store and queue the requests went to, as the price table names them."""

    store: str
    queue: str


def services_of(settings: Settings) -> Services:
    """Return the store and the queue that the settings name."""
    store, queue = (_service(url) for url in (settings.store, settings.queue))
    if queue not in {"sqlite", "redis"}:  # the name or the https URL of an SQS queue
        queue = "sqs.fifo" if settings.queue.endswith(".fifo") else "sqs"
    return Services(store, queue)


def _service(url: str) -> str:
    return "redis" if url.startswith("redis") else url.partition(":")[0]


def items_of(consumption: Consumption, prices: Prices, services: Services) -> list[Item]:
    """Return the lines of the bill: the platforms by name, then the kinds of requests."""
    store, queue = services
    requests, million = requests_of(consumption), prices.million
    # A store has one price, or one for writes and one for reads.
    counts = [
        ("lambda invocations", requests.invocations, million["lambda"]),
        (
            f"{store} store writes",
            requests.writes,
            million.get(f"{store}.write", million.get(store)),
        ),
        (f"{store} store reads", requests.reads, million.get(f"{store}.read", million.get(store))),
        (f"{queue} queue requests", requests.queue, million[queue]),
    ]
    return [
        *(_item_of(name, usage, prices) for name, usage in sorted(consumption.platforms.items())),
        *(
            Item(what, count, "requests", None if price is None else count * price / 1e6)
            for what, count, price in counts
            if count
        ),
    ]


def dollars_of(items: list[Item]) -> tuple[float, bool]:
    """Return what the items cost together, and whether each of them has a price."""
    known = [item.dollars for item in items if item.dollars is not None]
    return sum(known), len(known) == len(items)


def _item_of(platform: Platform, usage: PlatformUsage, prices: Prices) -> Item:
    """Return the line for the workers of one platform."""
    price = prices.worker_second(platform)
    dollars = None if price is None else usage.seconds * price
    if size := lambda_size(platform):
        return Item(platform, usage.seconds * size[1] / MB_PER_GB, "GB-s", dollars)
    return Item(platform, usage.seconds, "s", dollars)
