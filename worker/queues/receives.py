"""How often a message is received, where the queue itself counts that: the limit, and receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outlast.checkpoint.record_parts import Limits

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery

# A message must not become a dead letter before its job fails. Each stall costs the receive of its
# slice, and one or more that come too early, by the clock of a slow worker.
RECEIVES_A_STALL = 3
MAX_RECEIVES = RECEIVES_A_STALL * Limits().max_stalls
# SQS counts them itself.
RECEIVES_OF_SQS: Final = "ApproximateReceiveCount"


def is_first(receipt: str) -> bool:
    """Whether the delivery with this receipt is the first one of its message."""
    return receipt.endswith(":1")


def is_first_of_sqs(attributes: object) -> bool:
    """Whether a message with these attributes of SQS was not delivered before, by its count."""
    return isinstance(attributes, dict) and attributes.get(RECEIVES_OF_SQS) == "1"


def receipt_fields(delivery: Delivery) -> tuple[str, str]:
    """Return the id and the number of receives in a receipt; another queue's fits no message."""
    message_id, _, receives = delivery.receipt.partition(":")
    return message_id, receives
