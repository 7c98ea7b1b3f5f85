"""Which faults a seed brings, how often, and which of them were left out to shrink a failure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

# What may go wrong with each operation. "refuse": it does not happen, and says so. "lose answer":
# it happens, and says that it did not. "go away": no operation happens for a while.
# "ignore": it does not happen, and says that it did.
KINDS: dict[str, tuple[str, ...]] = {
    "read": ("crash before", "refuse", "freeze"),
    "put": (
        "crash before",
        "crash after",
        "refuse",
        "lose answer",
        "land late",
        "freeze",
        "go away",
    ),
    "delete": ("refuse", "lose answer", "land late", "freeze"),
    "keys": ("crash before", "refuse"),
    "send": ("crash before", "crash after", "refuse", "lose answer", "double", "delay", "lose"),
    "receive": ("crash after", "lose answer", "show hidden", "reorder"),
    "hide": ("crash before", "crash after", "refuse", "ignore"),
    "ack": ("crash before", "crash after", "refuse", "lose answer", "ignore"),
    "load": ("crash", "slow", "unknown"),
    "step": ("crash", "freeze", "raise"),
    "minute": ("purge", "roll back", "damage", "deploy"),
    "notify": ("crash before", "crash after", "refuse", "lose answer", "gone", "freeze"),
}

# The same for the place of arrays, where there is one. "full" and "refuse": it says so.
PLACE_KINDS: dict[str, tuple[str, ...]] = {
    "put chunk": (
        "crash before",
        "crash after",
        "refuse",
        "full",
        "lose answer",
        "land late",
        "freeze",
        "go away",
    ),
    "read chunk": ("crash before", "refuse", "freeze"),
    "delete chunks": (
        "crash before",
        "crash after",
        "refuse",
        "lose answer",
        "land late",
        "freeze",
    ),
    "list chunks": ("crash before", "refuse"),
    "minute of arrays": ("damage", "fail over"),
}

# The store is away for all, and where that is one database the queue, too.
OUTAGE_KINDS: dict[str, tuple[str, ...]] = {"minute of the store": ("go away",)}

# What the queue or the store had promised not to do: a sweep has to make up for it.
LOSSES = {
    ("send", "lose"),
    ("minute", "purge"),
    ("minute", "roll back"),
    ("minute of arrays", "fail over"),
}

# What is left sound where the stores answer.
STORES = ("put", "read", "put chunk", "read chunk")

RATES = (0.004, 0.015, 0.05)
# A sweep of a rare kind of event is worth a higher rate.
RATES_A_MINUTE = (0.1, 0.3)


class Faults:
    """Draws faults; each seed has a few kinds of its own, so that they do not hide each other.

    Attributes:
        fired: how often each kind of fault happened.
        log: the name of each, and what it was.
        may_lose: whether this seed loses messages or stored values outright.
        is_calm: whether nothing at all goes wrong in it.
    """

    def __init__(
        self,
        rng: Random,
        of_outages: Random,
        *,
        left_out: frozenset[str] = frozenset(),
        of_place: Random | None = None,
    ) -> None:
        """Draw all kinds, from `of_place` those of the place of arrays; None: there is none."""
        self._left_out = left_out
        self._drawn: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.may_lose = rng.random() < 0.4
        self.is_calm = rng.random() < 0.05
        # Some promises are made only for a store that answers.
        self._left_sound = STORES if rng.random() < 0.2 else ()
        self._rates = {
            operation: self._choose(operation, kinds, rng) for operation, kinds in KINDS.items()
        }
        for operation, kinds in OUTAGE_KINDS.items():
            self._rates[operation] = self._choose(operation, kinds, of_outages)
        for operation, kinds in PLACE_KINDS.items():
            self._rates[operation] = self._choose(operation, kinds, of_place) if of_place else {}
        self._totals = {name: sum(rates.values()) for name, rates in self._rates.items()}

    def _choose(self, operation: str, kinds: tuple[str, ...], rng: Random) -> dict[str, float]:
        if self.is_calm:
            return {}
        rates = RATES_A_MINUTE if operation.startswith("minute") else RATES
        return {
            kind: rng.choice(rates)
            for kind in kinds
            if rng.random() < 0.35
            and (self.may_lose or (operation, kind) not in LOSSES)
            and (operation not in self._left_sound or kind.startswith("crash"))
            and not (self._left_sound and operation in OUTAGE_KINDS)
        }

    @property
    def spares_the_store(self) -> bool:
        """Whether every write is stored in time and answered."""
        return not self._kinds & {"refuse", "full", "lose answer", "land late", "freeze", "go away"}

    @property
    def tells_what_was_stored(self) -> bool:
        """Whether a write whose answer is lost was stored, and can be read back."""
        return not self._kinds & {"refuse", "full", "land late", "go away"}

    @property
    def _kinds(self) -> set[str]:
        """All that may go wrong with reading and writing."""
        operations = (*STORES, *OUTAGE_KINDS)
        return set().union(*(self._rates[operation] for operation in operations))

    def stop(self) -> None:
        """Let nothing go wrong from now on."""
        self._totals = dict.fromkeys(self._totals, 0.0)

    def draw(self, operation: str, who: str, rng: Random) -> str | None:
        """Return what goes wrong with this operation; None: nothing.

        Each process draws from numbers of its own, and its faults have names of their own, so that
        leaving one out changes as little as can be of what follows.
        """
        total = self._totals[operation]
        if not total:
            return None
        if rng.random() >= total:
            return None
        rates = self._rates[operation]
        kind = rng.choices(list(rates), list(rates.values()))[0]
        self._drawn[who] += 1
        name = f"{who}#{self._drawn[who]}"
        if name in self._left_out:
            return None
        self.fired[f"{operation}: {kind}"] += 1
        self.log.append((name, f"{operation}: {kind}"))
        return kind
