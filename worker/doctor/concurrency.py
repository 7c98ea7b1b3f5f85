"""How many slices of a queue run at once on Lambda, and whether that is allowed and enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_lambda import LambdaClient

    from outlast.worker.doctor.finding import Finding

TEMPLATE = "; or MaxConcurrency in deploy/template.yaml"
THROTTLED = (
    "messages beyond it are throttled, which counts as receives: they end in the dead-letter queue"
)
# Of one mapping, where it sets no bound of its own.
MOST_OF_A_QUEUE = 1_000
# What the alarm of the template takes for too long.
LONG_WAIT_SECONDS = 7_200
QUOTA = (
    "aws service-quotas request-service-quota-increase --service-code lambda "
    "--quota-code L-B99A9384 --desired-value {wanted}"
)


def concurrency_findings(
    client: LambdaClient, name: str, mapping: dict[str, Any], change: str
) -> Iterator[Finding]:
    """Check the bounds on the function `name`; `change` is the command that sets the mapping's."""
    reserved, maximum = _reserved(client, name), _maximum(mapping)
    yield _bound(name, reserved, maximum, change)
    if reserved is None and maximum is not None:
        limit = client.get_account_settings()["AccountLimit"]
        yield _quota(maximum, limit["UnreservedConcurrentExecutions"], change)


def most_at_once(client: LambdaClient, name: str, mapping: dict[str, Any]) -> int:
    """Return how many slices the function runs at once; it may be less, by the account's quota."""
    bounds = (_reserved(client, name), _maximum(mapping), MOST_OF_A_QUEUE)
    return min(bound for bound in bounds if bound is not None)


def backlog_finding(waiting: int, most: int, timeout_seconds: int, change: str) -> Finding:
    """Compare the messages that wait with the slices that may run at once."""
    check, fact = "function.backlog", f"{waiting:,} messages wait for {most:,} slices at once"
    seconds = waiting / max(most, 1) * timeout_seconds
    if seconds <= LONG_WAIT_SECONDS:
        return ok(check, fact)
    return warning(
        check,
        fact,
        breaks=f"where each takes its whole time-out, the last of them waits {seconds / 3600:.1f} "
        "hours",
        mend=f"{change}N{TEMPLATE}",
    )


def _maximum(mapping: dict[str, Any]) -> int | None:
    maximum: int | None = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
    return maximum


def _reserved(client: LambdaClient, name: str) -> int | None:
    answer = client.get_function_concurrency(FunctionName=name)
    return answer.get("ReservedConcurrentExecutions")


def _bound(function: str, reserved: int | None, maximum: int | None, change: str) -> Finding:
    name = "function.concurrency"
    if reserved == 0:
        return error(
            name,
            "reserved concurrency is 0",
            breaks="the function is switched off: every message ends in the dead-letter queue",
            mend=f"aws lambda delete-function-concurrency --function-name {function}",
        )
    if reserved is not None and (maximum is None or maximum > reserved):
        return warning(
            name,
            f"reserved concurrency {reserved}, MaximumConcurrency {maximum or 'not set'}",
            breaks=THROTTLED,
            mend=f"{change}{max(reserved, 2)}{TEMPLATE}",
        )
    if maximum is None:
        return warning(
            name,
            "neither MaximumConcurrency nor reserved concurrency is set",
            breaks="many jobs take the account's concurrency from all its other functions",
            mend=f"{change}10{TEMPLATE}",
        )
    return ok(name, f"at most {maximum} slices at once")


def _quota(most: int, unreserved: int, change: str) -> Finding:
    fact = f"the account has {unreserved:,} for all functions without a reservation"
    if most <= unreserved:
        return ok("function.quota", fact)
    return warning(
        "function.quota",
        f"{fact}, and {most:,} slices may start",
        breaks=THROTTLED,
        mend=f"{QUOTA.format(wanted=2 * most)}; or {change}{max(unreserved, 2)}",
    )
