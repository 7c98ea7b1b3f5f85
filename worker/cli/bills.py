"""Bills and the price table, as commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.worker.cli.tables import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from outlast.worker.costs.bill import Item
    from outlast.worker.costs.prices import Prices
    from outlast.worker.settings import Settings

LEAST_DOLLARS = 0.000001
NO_PRICE = "no price"


def bill_of(items: list[Item]) -> dict[str, Any]:
    """Return a bill as a JSON object; `is_complete` is false where an item has no price."""
    from outlast.worker.costs.bill import dollars_of

    dollars, is_complete = dollars_of(items)
    return {
        "dollars": dollars,
        "is_complete": is_complete,
        "items": [item._asdict() for item in items],
    }


def source_of(prices: Prices, settings: Settings) -> dict[str, Any]:
    """Return where the prices come from, as a JSON object."""
    return {
        "date": prices.date.isoformat(),
        "region": prices.region,
        "currency": prices.currency,
        "replaced_by": None if settings.prices is None else str(settings.prices),
    }


def footer(prices: Prices, settings: Settings) -> str:
    """Return the line below a bill, which says where the prices come from."""
    over = "" if settings.prices is None else f", with {settings.prices} over them"
    return (
        f"prices of {prices.date}, {prices.region}, {prices.currency}{over}; "
        "free tiers are not counted"
    )


def dollars(amount: float | None) -> str:
    """Return an amount as people read it: cents, and below a dollar to the millionth."""
    if amount is None:
        return NO_PRICE
    if 0 < amount < LEAST_DOLLARS:
        return f"<${LEAST_DOLLARS:f}"
    return f"${amount:,.6f}" if 0 < amount < 1 else f"${amount:,.2f}"


def total_dollars(bill: dict[str, Any]) -> str:
    """Return the sum of a bill as people read it; a lower bound where an item has no price."""
    amount = bill["dollars"]
    if bill["is_complete"]:
        return dollars(amount)
    return f"over {dollars(amount)}" if amount else NO_PRICE


def print_without_price(items: Iterable[Mapping[str, Any]]) -> None:
    """Print a line below a bill that names what has no price, and how it gets one."""
    if names := sorted({item["what"] for item in items if item["dollars"] is None}):
        line = f"no price is set for {', '.join(names)}: outlast cost --help tells how to set one"
        print(wrapped(line, indent=4))
