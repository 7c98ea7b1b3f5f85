"""This machine's clock beside a server's, and what a difference costs."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from outlast.worker.doctor.finding import Finding

# Leases are 5 s long and more; two seconds of them are no loss worth a word.
WARNING_SECONDS = 2.0
# AWS refuses signatures that are 5 minutes off, S3 those that are 15.
ERROR_SECONDS = 300.0
MEND = "let the machine follow a time server: timedatectl set-ntp true"


def clock_findings(
    server: str,
    ask: Callable[[], float],
    *,
    resolution_seconds: float,
    clock: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """Compare `clock` with what `ask` says of the server's, in seconds since the epoch.

    `ask` tells the time cut off to `resolution_seconds`, some time between its call and return.
    """
    before = clock()
    told = ask()
    after = clock()
    ahead = (before + after) / 2 - (told + resolution_seconds / 2)
    doubt = (after - before + resolution_seconds) / 2
    name = f"clock.{server}"
    if abs(ahead) - doubt < WARNING_SECONDS:
        yield ok(name, f"this machine's clock agrees with that of the {server}")
        return
    seconds = f"{abs(ahead):.1f} s"
    found = f"this machine's clock is {seconds} {'ahead of' if ahead > 0 else 'behind'} the other"
    found += f" ({server})"
    if abs(ahead) >= ERROR_SECONDS:
        yield error(name, found, breaks="AWS refuses requests; leases never fit", mend=MEND)
    elif ahead > 0:
        costs = f"a worker here takes jobs over {seconds} too soon: work is done twice, none wrong"
        yield warning(name, found, breaks=costs, mend=MEND)
    else:
        costs = f"after a crash a worker here waits {seconds} too long"
        yield warning(name, found, breaks=costs, mend=MEND)


def date_of(request: Callable[[], Mapping[str, Any]]) -> float:
    """Return the Date of the answer to a boto3 request, also of one that is refused."""
    from botocore.exceptions import ClientError

    try:
        answer = request()
    except ClientError as refused:
        answer = refused.response
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
