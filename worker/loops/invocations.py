"""Invocations of a function on AWS Lambda: batches from an SQS event source, and requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from outlast.checkpoint.errors import StoreUnavailable
from outlast.worker.loops.consumer import LEAVE_MESSAGE, unavailable
from outlast.worker.loops.direct_calls import FORMS, InvalidRequest, Sweep, advance, parse
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.kernel_errors import line
from outlast.worker.telemetry.events import MESSAGE_FAILED, MESSAGE_LEFT, tell

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.lambda")

# The platform must have read the answer before the time-out, and a busy host may delay the process
# without its noticing.
MARGIN_SECONDS = 0.1


class Context(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the time-out."""


class Handler:
    """Handles invocations; clients and what the process learns about time last for all of them."""

    def __init__(self, client: Client, process: WorkerProcess) -> None:
        self._client = client
        self._process = process

    def handle(self, event: Any, context: Context) -> dict[str, Any]:
        """Handle one invocation.

        For a batch the answer names the messages that must come again; an interruption is a
        success. For a request it is the answer of `outlast.worker.loops.direct_calls`.

        Raises:
            InvalidRequest: the event is neither; nothing was done.
            Exception: those of `direct_calls.advance` and `Client.sweep`; the invocation has
                failed.
        """
        if isinstance(event, dict) and "Records" in event:
            return self._handle_batch(event["Records"], context)
        request = parse(event, FORMS)
        if isinstance(request, Sweep):
            return {"woken": self._client.sweep()}
        seconds, request_id = _seconds_left(context), context.aws_request_id
        return advance(self._client, self._process, request, seconds=seconds, request_id=request_id)

    def _handle_batch(self, records: list[dict[str, Any]], context: Context) -> dict[str, Any]:
        """Run a slice for each message, each in an equal share of the remaining time."""
        if any(record.get("eventSource") != "aws:sqs" for record in records):
            raise InvalidRequest("a batch of records from another source than SQS")
        failed = []
        for done, record in enumerate(records):
            left = _seconds_left(context)
            if not self._is_done(record, left / (len(records) - done), left):
                failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}

    def _is_done(self, record: dict[str, Any], seconds: float, left: float) -> bool:
        """Handle a message in `seconds`, its share of those `left`; False: it must come again.

        The last message of a batch always runs, as its share is all the time that is left.
        """
        process, delivery = self._process, Delivery(record["body"], record["receiptHandle"])
        try:
            if seconds <= process.timing.reserve_within(left):  # the ones before it took too long
                process.queue.hide(delivery, 0)
                return False
            return deliver(process, delivery, seconds=seconds).ack
        except (StoreUnavailable, QueueUnavailable) as error:
            effect = f"message {record['messageId']} will come again"
            tell(log, unavailable(error), effect=effect, error=str(error))
        except LEAVE_MESSAGE as error:
            tell(log, MESSAGE_LEFT, error=str(error), error_type=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the other messages do not depend on this one
            tell(
                log,
                MESSAGE_FAILED,
                message_id=record["messageId"],
                error=line(error),
                error_type=type(error).__name__,
                cause=error,
            )
        return False


def _seconds_left(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
