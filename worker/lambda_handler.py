"""AWS Lambda: `outlast.worker.lambda_handler.handler`.

Takes batches from an SQS event source that has ReportBatchItemFailures, and the direct or
scheduled requests of `outlast.worker.loops.direct_calls`. Needs OUTLAST_STORE and OUTLAST_QUEUE.

What lasts for many invocations is made when this module is imported: settings, clients, the
runtime with what it learns about time. None of it connects, arms a timer or draws a random number
before the first invocation, so a snapshot may be taken of it (SnapStart).
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Protocol

from outlast.checkpoint.errors import StoreUnavailable
from outlast.worker.jobs.client import Client
from outlast.worker.loops.consumer import NOT_FOR_US, unavailable
from outlast.worker.loops.direct_calls import (
    InvalidRequest,
    Kick,
    Position,
    Submit,
    Sweep,
    advance,
    parse,
)
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.settings import Settings, read_settings, require_remote
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.kernel_output import line
from outlast.worker.slices.platforms import lambda_threads
from outlast.worker.slices.process import make_runtime
from outlast.worker.telemetry.events import MESSAGE_FAILED, MESSAGE_LEFT, tell
from outlast.worker.telemetry.switches import log_on_platform

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("outlast.lambda")

# Between the return of the handler and the platform's reading of the answer, which must come
# before the time-out; also what a busy host may take from us without our seeing it.
MARGIN_SECONDS = 0.1

# The rest is for this process itself and for the interpreter in the child of an isolated kernel.
SHARE_OF_KERNEL = 0.75

FORMS: dict[str, type[Submit | Kick | Position | Sweep]] = {
    "kernel": Submit,
    "job_id": Kick,
    "position": Position,
    "sweep": Sweep,
}


class Context(Protocol):
    """What we use of Lambda's context object."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the time-out."""


def settings_of(environment: Mapping[str, str]) -> Settings:
    """Return the settings, with what the function's memory size says about cores and memory.

    Raises:
        InvalidSettings: one is wrong, or the store or the queue is not set.
    """
    settings = require_remote(read_settings())
    if "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" not in environment:
        return settings
    megabytes = int(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
    granted = {
        "threads": lambda_threads(megabytes),
        "memory_bytes": int(SHARE_OF_KERNEL * megabytes) << 20,
    }
    chosen = settings.model_fields_set
    return settings.model_copy(update={k: v for k, v in granted.items() if k not in chosen})


settings = settings_of(os.environ)
log_on_platform(settings)
client = Client(settings=settings)
runtime = make_runtime(settings, client.jobs, client.queue)


def handler(event: Any, context: Context) -> dict[str, Any]:
    """Handle one invocation.

    For a batch the answer names the messages that are to come again; an interruption is a success.
    For a request it is what `outlast.worker.loops.direct_calls` answers.

    Raises:
        InvalidRequest: the event is neither; nothing was done.
        Exception: those of `direct_calls.advance` and `Client.sweep`; the function has failed.
    """
    if isinstance(event, dict) and "Records" in event:
        return _handle_batch(event["Records"], context)
    request = parse(event, FORMS)
    if isinstance(request, Sweep):
        return {"woken": client.sweep()}
    seconds, request_id = _seconds_left(context), context.aws_request_id
    return advance(client, runtime, request, seconds=seconds, request_id=request_id)


def _handle_batch(records: list[dict[str, Any]], context: Context) -> dict[str, Any]:
    """Run a slice for each message, each in an equal share of the time that is left."""
    if any(record.get("eventSource") != "aws:sqs" for record in records):
        raise InvalidRequest("a batch of records from another source than SQS")
    failed = []
    for done, record in enumerate(records):
        left = _seconds_left(context)
        if not _is_done(record, left / (len(records) - done), left):
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _is_done(record: dict[str, Any], seconds: float, left: float) -> bool:
    """Handle one message in `seconds` of those that are `left`; return False for it to come again.

    The last one of a batch is never refused, as all that is left is its share.
    """
    delivery = Delivery(record["body"], record["receiptHandle"])
    try:
        if seconds <= runtime.timing.reserve_within(left):  # the ones before it took too long
            runtime.queue.hide(delivery, 0)
            return False
        return deliver(runtime, delivery, seconds=seconds).ack
    except (StoreUnavailable, QueueUnavailable) as error:
        effect = f"message {record['messageId']} will come again"
        tell(log, unavailable(error), effect=effect, error=str(error))
    except NOT_FOR_US as error:
        tell(log, MESSAGE_LEFT, error=str(error), error_type=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - the other messages are none the worse
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
