"""How to reach one SQS queue, and what to tell a person when it does not answer."""

from __future__ import annotations

import re
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from outlast.worker.queues.contract import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs import SQSClient

LONGEST_POLL_SECONDS = 20  # SQS refuses more
CONFIG = Config(
    connect_timeout=5,
    read_timeout=LONGEST_POLL_SECONDS + 5,  # or a poll that finds nothing would look like a failure
    retries={"mode": "standard", "total_max_attempts": 3},
)

# What a hide or an ack is told when its time has passed. InvalidParameterValue stands for the
# expired handle of a FIFO queue and for a delivery that has been hidden for 12 hours in all; the
# caller keeps every other parameter in range.
LATE = {"MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue"}

_CREATE = "create the queue, or correct its name, region or account"
_SIGN_IN = "renew the AWS credentials"
_CONNECT = "check the network and AWS_ENDPOINT_URL"
WAYS_OUT = {
    "AccessDenied": "allow that operation on the queue to these credentials",
    "ConnectTimeoutError": _CONNECT,
    "EndpointConnectionError": _CONNECT,
    "ExpiredToken": _SIGN_IN,
    "InvalidClientTokenId": _SIGN_IN,
    "NoCredentialsError": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "NoRegionError": "set AWS_DEFAULT_REGION",
    "NonExistentQueue": _CREATE,
    "ProfileNotFound": "correct AWS_PROFILE",
    "QueueDoesNotExist": _CREATE,  # the same, from a service that speaks only JSON
    "ReadTimeoutError": _CONNECT,
    "UnrecognizedClient": _SIGN_IN,
    "ValueError": "correct AWS_ENDPOINT_URL",
}


class Connection:
    """The client and the URL of the queue named by `sqs://name` or its URL, made at first use."""

    def __init__(self, place: str, *, config: Config = CONFIG) -> None:
        self._place = place
        self._config = config
        self._made: tuple[SQSClient, str] | None = None
        self._lock = Lock()

    @contextmanager
    def asking(self, *, late_is_fine: bool = False) -> Iterator[tuple[SQSClient, str]]:
        """Lend the client and the queue's URL for one call; `late_is_fine` forgives a late one.

        Raises:
            QueueUnavailable: SQS refused or did not answer; one line names the queue and what to
                do.
        """
        connected = self._connect()
        try:
            yield connected
        except (BotoCoreError, ClientError) as error:
            if not (late_is_fine and _name(error) in LATE):
                raise self._unavailable(error) from error

    def _connect(self) -> tuple[SQSClient, str]:
        with self._lock:
            if self._made is None:
                try:
                    self._made = _make(self._place, self._config)
                # boto3 answers a malformed endpoint with a bare ValueError
                except (BotoCoreError, ClientError, ValueError) as error:
                    raise self._unavailable(error) from error
            return self._made

    def _unavailable(self, error: Exception) -> QueueUnavailable:
        told = " ".join(str(error).split())
        way_out = WAYS_OUT.get(_name(error), "see what AWS says of this error")
        return QueueUnavailable(f"queue {self._place}: {told}; {way_out}")


def _make(place: str, config: Config) -> tuple[SQSClient, str]:
    # A session of its own: boto3's default one is not safe to share between threads.
    session = boto3.session.Session()
    url = urlsplit(place)
    if url.scheme == "sqs":
        client = session.client("sqs", config=config)
        return client, client.get_queue_url(QueueName=url.netloc)["QueueUrl"]
    if region := re.match(r"sqs[a-z-]*\.([a-z0-9-]+)\.(amazonaws\.com|api\.aws)", url.netloc):
        return session.client("sqs", region_name=region[1], config=config), place
    endpoint = f"{url.scheme}://{url.netloc}"  # an emulator, or a gateway into a private network
    return session.client("sqs", endpoint_url=endpoint, config=config), place


def _name(error: Exception) -> str:
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        return code.removeprefix("AWS.SimpleQueueService.").removesuffix("Exception")
    return type(error).__name__
