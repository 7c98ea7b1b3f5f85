"""Prices and bills as a command prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlast.worker.costs.bill import Item
    from outlast.worker.costs.prices import Prices
    from outlast.worker.settings import Settings

LEAST_DOLLARS = 0.000001


def priced(items: list[Item]) -> dict[str, Any]:
    """Return a bill as a JSON object; `is_complete` is false where an item has no price."""
    from outlast.worker.costs.bill import dollars_of

    dollars, is_complete = dollars_of(items)
    return {
        "dollars": dollars,
        "is_complete": is_complete,
        "items": [item._asdict() for item in items],
    }


def told(prices: Prices, settings: Settings) -> dict[str, Any]:
    """Return what is to be known of a price table, as a JSON object."""
    return {
        "date": prices.date.isoformat(),
        "region": prices.region,
        "currency": prices.currency,
        "replaced_by": None if settings.prices is None else str(settings.prices),
    }


def footing(prices: Prices, settings: Settings) -> str:
    """Return the line below a bill: of when and where the prices are."""
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


def dollars_in_all(bill: dict[str, Any]) -> str:
    """Return the sum of a bill as people read it; a lower bound where an item has no price."""
    return dollars(bill["dollars"]) if bill["is_complete"] else f"over {dollars(bill['dollars'])}"


def unpriced(bills: list[dict[str, Any]]) -> list[str]:
    """Return what in these bills has no price."""
    items = [item for bill in bills for item in bill.get("items", ())]
    return sorted({item["what"] for item in items if item["dollars"] is None})
