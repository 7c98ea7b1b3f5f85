"""Of which kind a Lambda function is, and what that bounds.

The limits are AWS's of November 2026: 900 s an invocation; on Lambda Managed Instances 5,400 s
where a queue or nobody waits for it, in an environment that several invocations may share. The
execution of a durable function that a queue starts ends, in all, when one invocation would.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking-esm.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Finding

SHORT_TIMEOUT_SECONDS = 30
LONGEST_SECONDS = 900
LONGEST_MANAGED_SECONDS = 5_400


def kind_findings(name: str, configuration: dict[str, Any]) -> Iterator[Finding]:
    """Check the kind of the function `name`, and its time-out."""
    provider = configuration.get("CapacityProviderConfig")
    instances = provider and provider.get("LambdaManagedInstancesCapacityProviderConfig", {})
    if durable := configuration.get("DurableConfig"):
        yield _durable(durable)
    elif instances is not None:
        yield _shared(name, instances.get("PerExecutionEnvironmentMaxConcurrency"))
    yield _timeout(name, configuration["Timeout"], is_managed=instances is not None)


def _durable(durable: dict[str, Any]) -> Finding:
    return error(
        "function.kind",
        f"it is a durable function, ExecutionTimeout {durable.get('ExecutionTimeout', 'not set')}",
        breaks="its events have the form of AWS's SDK for such, so that no slice runs; and from a "
        f"queue the whole execution ends after {LONGEST_SECONDS} s, on Lambda Managed Instances "
        f"after {LONGEST_MANAGED_SECONDS} s",
        mend="make it anew without DurableConfig, as deploy/template.yaml does: Outlast goes on "
        "from invocation to invocation by itself",
    )


def _shared(name: str, invocations: int | None) -> Finding:
    check = "function.kind"
    if invocations == 1:
        return ok(check, "on Lambda Managed Instances, one slice an environment")
    return warning(
        check,
        "on Lambda Managed Instances, PerExecutionEnvironmentMaxConcurrency "
        f"{invocations or 'not set'}",
        breaks="so many slices share the memory and the cores of one environment, and one that "
        "takes too much ends all",
        mend=f"aws lambda update-function-configuration --function-name {name} "
        "--capacity-provider-config 'LambdaManagedInstancesCapacityProviderConfig={"
        "CapacityProviderArn=ARN,PerExecutionEnvironmentMaxConcurrency=1}'",
    )


def _timeout(name: str, seconds: int, *, is_managed: bool) -> Finding:
    check = "function.timeout"
    if seconds >= SHORT_TIMEOUT_SECONDS:
        ordinary = "" if is_managed else f"{LONGEST_SECONDS} s, "
        limit = f"{ordinary}{LONGEST_MANAGED_SECONDS:,} s on Lambda Managed Instances"
        return ok(check, f"slices of up to {seconds} s; AWS allows {limit}")
    return warning(
        check,
        f"time-out {seconds} s",
        breaks="much of each slice goes into starting, saving and sending",
        mend=f"aws lambda update-function-configuration --function-name {name} "
        "--timeout 900; or TimeoutSeconds in deploy/template.yaml",
    )
