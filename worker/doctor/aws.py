"""What all examinations of AWS share: how long they wait, and what a refusal is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import ClientError

from outlast.worker.doctor.finding import Denied

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Config(
    connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
)


def is_denied(refused: ClientError) -> bool:
    """Whether AWS refused because of a missing right."""
    code = str(refused.response["Error"].get("Code", ""))
    return "AccessDenied" in code or code == "AuthorizationError"  # SNS has a word of its own


@contextmanager
def asking() -> Iterator[None]:
    """Turn a refusal for lack of a right into Denied."""
    try:
        yield
    except ClientError as refused:
        if is_denied(refused):
            raise Denied(f"these credentials may not: {refused}") from refused
        raise
