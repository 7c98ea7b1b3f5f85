"""Bills and the price table, as commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlast.worker.costs.bill import Item
    from outlast.worker.costs.prices import Prices
    from outlast.worker.settings import Settings

LEAST_DOLLARS = 0.000001


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
        return "not in the price table"
    if 0 < amount < LEAST_DOLLARS:
        return f"<${LEAST_DOLLARS:f}"
    return f"${amount:,.6f}" if 0 < amount < 1 else f"${amount:,.2f}"


def total_dollars(bill: dict[str, Any]) -> str:
    """Return the sum of a bill as people read it; a lower bound where an item has no price."""
    return dollars(bill["dollars"]) if bill["is_complete"] else f"over {dollars(bill['dollars'])}"
