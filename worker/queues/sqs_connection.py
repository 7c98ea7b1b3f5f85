"""The connection to one SQS queue, and what a person can do when SQS refuses."""

from __future__ import annotations

import re
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from outlast.checkpoint.aws_client import advice_for, error_code, make_client
from outlast.checkpoint.safe_text import cause_to_show, redacted, without_secrets
from outlast.worker.queues.contract import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs import SQSClient

LONGEST_POLL_SECONDS = 20  # SQS refuses more
CONFIG = Config(
    connect_timeout=5,
    read_timeout=LONGEST_POLL_SECONDS + 5,  # shorter, an empty poll would look like a failure
    retries={"mode": "standard", "total_max_attempts": 3},
)

# SQS's answers to a hide or an ack that comes too late. InvalidParameterValue is one, for an
# expired handle of a FIFO queue and for a delivery that was hidden for 12 hours in all; every other
# parameter of these calls is in range.
LATE = {"MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue"}

_CREATE = "create the queue, or correct its name, region or account"
ADVICE = {
    "AccessDenied": "allow that operation on the queue to these credentials",
    "NonExistentQueue": _CREATE,
    "QueueDoesNotExist": _CREATE,  # the same in SQS's JSON protocol
}


class Connection:
    """The client and the URL of the queue named by `sqs://name` or its URL, made at first use."""

    def __init__(self, queue: str, *, config: Config = CONFIG) -> None:
        self._queue = queue
        self._config = config
        self._client_and_url: tuple[SQSClient, str] | None = None
        self._lock = Lock()

    @property
    def is_made(self) -> bool:
        """Whether there is a client already."""
        return self._client_and_url is not None

    @contextmanager
    def call(self, *, late_is_fine: bool = False) -> Iterator[tuple[SQSClient, str]]:
        """Yield the client and the queue's URL for one call, and translate its errors.

        With `late_is_fine` a call that comes too late is no error.

        Raises:
            QueueUnavailable: SQS refused or did not answer; one line names the queue and the way
                out.
        """
        client_and_url = self._connect()
        try:
            yield client_and_url
        except (BotoCoreError, ClientError) as error:
            if not (late_is_fine and error_code(error) in LATE):
                raise self._unavailable(error) from cause_to_show(error)

    def _connect(self) -> tuple[SQSClient, str]:
        with self._lock:
            if self._client_and_url is None:
                try:
                    self._client_and_url = _connect(self._queue, self._config)
                # botocore raises a bare ValueError for a malformed endpoint
                except (BotoCoreError, ClientError, ValueError) as error:
                    raise self._unavailable(error) from cause_to_show(error)
            return self._client_and_url

    def _unavailable(self, error: Exception) -> QueueUnavailable:
        reason = " ".join(without_secrets(str(error)).split())
        advice = ADVICE.get(error_code(error)) or advice_for(error)
        advice = advice or "see AWS's documentation of this error"
        return QueueUnavailable(f"queue {redacted(self._queue)}: {reason}; {advice}")


def _connect(queue: str, config: Config) -> tuple[SQSClient, str]:
    url = urlsplit(queue)
    if url.scheme == "sqs":
        client: SQSClient = make_client("sqs", config=config)
        return client, client.get_queue_url(QueueName=url.netloc)["QueueUrl"]
    if region := re.match(r"sqs[a-z-]*\.([a-z0-9-]+)\.(amazonaws\.com|api\.aws)", url.netloc):
        return make_client("sqs", region_name=region[1], config=config), queue
    endpoint = f"{url.scheme}://{url.netloc}"  # an emulator, or a gateway into a private network
    return make_client("sqs", endpoint_url=endpoint, config=config), queue
