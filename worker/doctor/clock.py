"""This machine's clock beside a server's, and what a difference costs."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from outlast.worker.doctor.finding import Finding

# Up to here the clocks agree; see `StoreClock`.
WARNING_SECONDS = 2.0
# AWS refuses signatures that are 5 minutes off, S3 those that are 15 minutes off.
ERROR_SECONDS = 300.0
MEND = "let the machine follow a time server: timedatectl set-ntp true"


def clock_findings(
    server: str,
    ask: Callable[[], float],
    *,
    resolution_seconds: float,
    clock: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """Compare `clock` with the server's clock, both in seconds since the epoch.

    `ask` returns the server's time at some moment of the call, cut off to `resolution_seconds`.
    """
    before = clock()
    server_time = ask()
    after = clock()
    ahead = (before + after) / 2 - (server_time + resolution_seconds / 2)
    uncertainty = (after - before + resolution_seconds) / 2
    name = f"clock.{server}"
    if abs(ahead) - uncertainty < WARNING_SECONDS:
        yield ok(name, f"this machine's clock agrees with that of the {server}")
        return
    seconds = f"{abs(ahead):.1f} s"
    fact = f"this machine's clock is {seconds} {'ahead of' if ahead > 0 else 'behind'} that of the "
    fact += server
    if abs(ahead) >= ERROR_SECONDS:
        yield error(name, fact, breaks="AWS refuses requests", mend=MEND)
        return
    breaks = (
        "the log lines of this machine do not fit those of others; leases go by the store's clock"
    )
    yield warning(name, fact, breaks=breaks, mend=MEND)


def date_of(request: Callable[[], Mapping[str, Any]]) -> float:
    """Return the Date of the answer to a botocore request, even if it is a refusal."""
    from botocore.exceptions import ClientError

    try:
        answer = request()
    except ClientError as refused:
        answer = refused.response
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
