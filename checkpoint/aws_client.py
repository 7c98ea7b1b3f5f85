"""Clients of AWS's services, made by boto3."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.session import get_session

if TYPE_CHECKING:
    from botocore.loaders import Loader


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
