"""Invocations of a function on AWS Lambda: batches from an SQS event source, and requests."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Protocol

from outlast.checkpoint.errors import StoreUnavailable
from outlast.worker.loops.direct_calls import FORMS, InvalidRequest, Sweep, advance, parse
from outlast.worker.loops.errors import LEAVE_MESSAGE
from outlast.worker.loops.left_messages import LeftMessages
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.receives import is_first_of_sqs
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.health import BROKEN, BrokenWorker
from outlast.worker.slices.kernel_errors import line
from outlast.worker.telemetry.events import MESSAGE_FAILED, tell

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.lambda")

# The platform must have read the answer before the time-out, and a busy host may delay the process
# without its noticing.
MARGIN_SECONDS = 0.1

# What is needed of each record of a batch.
RECORD_FIELDS = ("messageId", "receiptHandle", "body")
# The rest is for the last of its requests.
SHARE_OF_SWEEP = 0.8


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
        self._left = LeftMessages(log, process.clock)

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
            return {"woken": self._client.sweep(seconds=_seconds_left(context) * SHARE_OF_SWEEP)}
        seconds, request_id = _seconds_left(context), context.aws_request_id
        try:
            return advance(
                self._client, self._process, request, seconds=seconds, request_id=request_id
            )
        except BrokenWorker:
            self._exit_if_broken()
            raise

    def _handle_batch(self, records: object, context: Context) -> dict[str, Any]:
        """Run a slice for each message, each in an equal share of the remaining time.

        Raises:
            InvalidRequest: this is no batch of SQS, and nothing was done; or one of its records has
                no id by which the answer could name it, and all come again after the others had a
                turn.
        """
        if not isinstance(records, list):
            raise InvalidRequest("the Records of a batch are a list, as SQS sends it")
        if records and not any(map(_is_of_sqs, records)):
            raise InvalidRequest("a batch of records from another source than SQS")
        failed = []
        for done, record in enumerate(records):
            left = _seconds_left(context)
            if not self._is_done(record, left / (len(records) - done), left):
                failed.append(_message_id(record))
        if None in failed:
            raise InvalidRequest(
                "a record without a messageId, so all messages of its batch come again"
            )
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _is_done(self, record: object, seconds: float, left: float) -> bool:
        """Handle a message in `seconds`, its share of those `left`; False: it must come again.

        The last message of a batch always runs, as its share is all the time that is left.
        """
        process = self._process
        try:
            delivery = _delivery(record)
            if seconds <= process.timing.budget(left).reserve:  # those before it took too long
                process.queue.hide(delivery, 0)
                return False
            return deliver(process, delivery, seconds=seconds).ack
        except BrokenWorker:
            self._exit_if_broken()
        except (StoreUnavailable, QueueUnavailable) as error:
            process.outages.failed(error, f"message {_message_id(record)} will come again")
        except (InvalidRequest, *LEAVE_MESSAGE) as error:
            self._left.tell(error)
        except Exception as error:  # noqa: BLE001 - the other messages do not depend on this one
            tell(
                log,
                MESSAGE_FAILED,
                message_id=_message_id(record),
                error=line(error),
                error_type=type(error).__name__,
                cause=error,
            )
        return False

    def _exit_if_broken(self) -> None:
        """End this sandbox after several faults of its machine, and Lambda makes another one.

        The invocation has failed then, and the messages of its batch come again.
        """
        if self._process.health.is_broken:
            sys.exit(BROKEN)


def _is_of_sqs(record: object) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:sqs"


def _message_id(record: object) -> str | None:
    """Return the id of a record's message; None: it has none."""
    message_id = record.get("messageId") if isinstance(record, dict) else None
    return message_id if _is_text(message_id) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _delivery(record: object) -> Delivery:
    """Return the message that a record holds.

    Raises:
        InvalidRequest: SQS does not send such records.
    """
    if not (isinstance(record, dict) and _is_of_sqs(record)):
        raise InvalidRequest("a record of another source than SQS")
    missing = [name for name in RECORD_FIELDS if not _is_text(record.get(name))]
    if missing:
        raise InvalidRequest(f"a record without {' and '.join(missing)}")
    is_first = is_first_of_sqs(record.get("attributes"))
    return Delivery(record["body"], record["receiptHandle"], is_first=is_first)


def _seconds_left(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
