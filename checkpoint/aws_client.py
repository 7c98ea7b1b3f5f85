"""Clients of AWS's services, made by boto3, and what to do about errors that all of them have."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto
from botocore.session import get_session

if TYPE_CHECKING:
    from botocore.loaders import Loader

RENEW = "renew the credentials"
SIGN_IN = "check the credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE, …)"
ADVICE_BY_CODE = {
    "ExpiredToken": RENEW,
    "InvalidAccessKeyId": SIGN_IN,
    "InvalidClientTokenId": SIGN_IN,
    "InvalidToken": SIGN_IN,
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": SIGN_IN,
    "UnrecognizedClient": SIGN_IN,
}
# The first that matches counts.
ADVICE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (boto.ProfileNotFound, "correct AWS_PROFILE"),
    (
        (boto.NoCredentialsError, boto.PartialCredentialsError),
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    (boto.NoRegionError, "set AWS_DEFAULT_REGION"),
    (
        (boto.HTTPClientError, boto.ConnectionError),
        "check the network, the region and AWS_ENDPOINT_URL",
    ),
    # Of a malformed endpoint it raises no error of its own.
    (ValueError, "correct AWS_ENDPOINT_URL"),
)


def make_client(service: str, **options: Any) -> Any:
    """Return a client of the service, for any number of threads; nothing is asked yet.

    Credentials, region and endpoint are boto3's own settings. `options` are those of its `client`.

    Raises:
        BotoCoreError, ValueError: one of the settings is missing or wrong.
    """
    from boto3.session import Session  # here: it takes 20 ms of a start, and is used after that

    own = get_session()  # threads may not share one
    own.register_component("data_loader", _loader())
    return Session(botocore_session=own).client(service, **options)


@cache
def _loader() -> Loader:
    """Return what reads botocore's files on services and endpoints, each of them once a process.

    Of the first client that takes most of the time; a second one is ready in a tenth of it.
    """
    loader: Loader = get_session().get_component("data_loader")
    return loader


def error_code(error: Exception) -> str:
    """Return the service's own code of the error; "": it has none."""
    if not isinstance(error, boto.ClientError):
        return ""
    code = str(error.response["Error"].get("Code", ""))
    return code.removeprefix("AWS.SimpleQueueService.").removesuffix("Exception")


def advice_for(error: Exception) -> str | None:
    """Return what to do about an error that any service may have, as one clause; None: unknown."""
    if advice := ADVICE_BY_CODE.get(error_code(error)):
        return advice
    return next((advice for kinds, advice in ADVICE if isinstance(error, kinds)), None)
