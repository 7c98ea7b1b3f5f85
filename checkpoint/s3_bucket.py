"""One S3 bucket, or a part of it: the client, and what an operator can do about its errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore import exceptions as boto
from botocore.config import Config

from outlast.checkpoint.aws_client import advice_for, error_code, make_client
from outlast.checkpoint.errors import InvalidStoreUrl, StateTooLarge, StoreFull, StoreUnavailable
from outlast.checkpoint.safe_text import cause_to_show, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client

CONFIG = Config(
    # Of each piece, so that a value of any size may take its time: it is sent and received in
    # pieces, each of which has 3 s to leave and 20 s to come. The answer has 20 s after the last.
    connect_timeout=3,
    read_timeout=20,
    # Else botocore sends a checksum of its own over HTTPS, in chunks with a framing that some
    # stores keep as a part of the value and others refuse. A put has one that needs no framing.
    request_checksum_calculation="when_required",
    retries={"mode": "standard", "total_max_attempts": 3},
    user_agent_extra="outlast",
)

SMALLER = "make the state smaller, or raise the limit of the store or of a gateway before it"
CONDITIONS = "use a store that honours If-Match and If-None-Match on PUT, as AWS S3 does"
ROOM = "give the store more room, or make some: outlast prune --older-than 30d"
ADVICE_BY_CODE = {
    "NoSuchBucket": "create the bucket or correct the name",
    "AccessDenied": "allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on it",
    "AllAccessDisabled": "enable the account's access to S3",
    "SlowDown": "the store asks for fewer requests; try again later",
    "EntityTooLarge": SMALLER,
    "413": SMALLER,
    "NotImplemented": CONDITIONS,
    "501": CONDITIONS,
    "QuotaExceeded": ROOM,
    "XMinioStorageFull": ROOM,
    "507": ROOM,
}
# A gateway may answer with the status alone.
TOO_LARGE = {"EntityTooLarge", "413"}
FULL = {"QuotaExceeded", "XMinioStorageFull", "507"}


class Bucket:
    """The keys of a bucket that begin with `prefix`, and a client for them.

    Credentials, region and endpoint are the AWS SDK's own settings.

    Attributes:
        name: the bucket's.
        prefix: "" or a prefix that ends with a slash.
        client: may be used from several threads at a time.
    """

    def __init__(
        self,
        name: str,
        prefix: str = "",
        *,
        client: S3Client | None = None,
        config: Config = CONFIG,
    ) -> None:
        self.name = name
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        with self.translated_errors():
            try:
                self.client = client or make_client("s3", config=config)
            except ValueError as error:
                reason = without_secrets(str(error))
                raise InvalidStoreUrl(
                    f"s3://{name}: {reason}; correct AWS_ENDPOINT_URL"
                ) from cause_to_show(error)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, by their full keys, a thousand at most; one that is gone is no error.

        Raises:
            ClientError, BotoCoreError: those of botocore.
        """
        if not keys:
            return
        answer = self.client.delete_objects(
            Bucket=self.name,
            Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
        )
        for error in answer.get("Errors", []):
            if error.get("Code") != "NoSuchKey":
                raise boto.ClientError({"Error": error}, "DeleteObjects")

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn botocore's errors into Outlast's, each one line with what to do about it.

        Raises:
            StoreUnavailable, StoreFull, StateTooLarge: botocore failed, or the store refused.
        """
        try:
            yield
        except (boto.ClientError, boto.BotoCoreError) as error:
            reason = without_secrets(str(error)).rstrip(".")
            message = f"s3://{self.name}: {reason}; {_advice_for(error)}"
            raise _kind(error)(message) from cause_to_show(error)


def _advice_for(error: boto.ClientError | boto.BotoCoreError) -> str:
    """Return what to do, as one short clause."""
    if advice := ADVICE_BY_CODE.get(error_code(error)) or advice_for(error):
        return advice
    is_refusal = isinstance(error, boto.ClientError)
    return "see the store's log, then try again" if is_refusal else "check the AWS SDK's settings"


def _kind(error: boto.ClientError | boto.BotoCoreError) -> type[StoreUnavailable | StateTooLarge]:
    code = error_code(error)
    if code in TOO_LARGE:
        return StateTooLarge
    return StoreFull if code in FULL else StoreUnavailable
