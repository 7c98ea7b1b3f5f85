"""How often a message is received, where the queue itself counts that: the limit, and receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.record_parts import Limits

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery

# A message must not become a dead letter before its job fails. Each stall costs the receive of its
# slice, and one or more that come too early, by the clock of a slow worker.
RECEIVES_A_STALL = 3
MAX_RECEIVES = RECEIVES_A_STALL * Limits().max_stalls


def receipt_fields(delivery: Delivery) -> tuple[str, str]:
    """Return the id and the number of receives in a receipt; another queue's fits no message."""
    message_id, _, receives = delivery.receipt.partition(":")
    return message_id, receives
