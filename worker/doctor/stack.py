"""A CloudFormation stack of deploy/template.yaml, and what it has beside store and function."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from outlast.checkpoint.aws_client import make_client
from outlast.worker.doctor.alarms import alarm_findings
from outlast.worker.doctor.aws import CONFIG, asking
from outlast.worker.doctor.finding import Unreachable, error, ok, warning
from outlast.worker.settings import overridden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings

DEPLOY = "aws cloudformation deploy, as in docs/deploy-lambda.md"
FAILED = "FailedInvocationsUrl"
# Parameters of the template, and the function's fields that they set.
FIELDS = {"TimeoutSeconds": "Timeout", "MemoryMegabytes": "MemorySize"}


class Stack(NamedTuple):
    """A stack as CloudFormation tells of it.

    Attributes:
        resources: the physical names of its resources, by type.
        function: the configuration of its function.
    """

    name: str
    status: str
    reason: str
    outputs: dict[str, str]
    parameters: dict[str, str]
    resources: dict[str, list[str]]
    function: dict[str, Any]

    @property
    def is_in_vpc(self) -> bool:
        """Whether its store can be reached from within a VPC only."""
        return self.outputs["StoreUrl"].startswith("redis")


def read_stack(name: str) -> Stack:
    """Return the stack of this name, in the region of the environment.

    Raises:
        Unreachable: there is none, or it is of another template; the failure has the way out.
        Denied: these credentials may not look at it.
    """
    client = make_client("cloudformation", config=CONFIG)
    with asking():
        try:
            (stack,) = client.describe_stacks(StackName=name)["Stacks"]
        except ClientError as refused:
            if "does not exist" not in str(refused):
                raise
            mend = "correct the name, or AWS_DEFAULT_REGION: aws cloudformation list-stacks"
            raise Unreachable(f"there is no stack {name}", mend=mend) from refused
        answer = client.describe_stack_resources(StackName=name)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    if missing := {"StoreUrl", "QueueUrl", "FunctionName"} - outputs.keys():
        fact = f"stack {name}, {stack['StackStatus']}, has no output {', '.join(sorted(missing))}"
        raise Unreachable(fact, mend=f"deploy deploy/template.yaml: {DEPLOY}")
    resources: dict[str, list[str]] = {}
    for each in answer["StackResources"]:
        resources.setdefault(each["ResourceType"], []).append(each.get("PhysicalResourceId", ""))
    with asking():
        functions = make_client("lambda", config=CONFIG)
        function = functions.get_function_configuration(FunctionName=outputs["FunctionName"])
    return Stack(
        name=name,
        status=stack["StackStatus"],
        reason=stack.get("StackStatusReason", ""),
        outputs=outputs,
        parameters={
            each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])
        },
        resources=resources,
        function=dict(function),
    )


def stack_settings(stack: Stack, settings: Settings) -> Settings:
    """Return `settings` with the stack's own store and queue.

    A URL of Redis is that of its function, which has the password.
    """
    store = stack.outputs["StoreUrl"]
    if stack.is_in_vpc:
        store = stack.function["Environment"]["Variables"].get("OUTLAST_STORE", store)
    return overridden(settings, store=store, queue=stack.outputs["QueueUrl"])


def stack_checks(stack: Stack) -> list[Check]:
    """Return the checks of the stack itself."""
    checks: list[Check] = [
        partial(_status, stack),
        partial(_parameters, stack),
        partial(_failed_invocations, stack),
        partial(alarm_findings, stack.resources.get("AWS::CloudWatch::Alarm", [])),
    ]
    if stack.is_in_vpc:
        from outlast.worker.doctor.elasticache import cache_findings

        checks.append(partial(cache_findings, stack.resources))
    return checks


def _status(stack: Stack) -> Iterator[Finding]:
    check, fact = "stack.status", f"{stack.name} is {stack.status} {stack.reason}".rstrip()
    events = f"aws cloudformation describe-stack-events --stack-name {stack.name} tells why"
    if stack.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        yield ok(check, fact)
    elif stack.status.endswith("IN_PROGRESS"):
        breaks = "what is examined here may be half of the old stack and half of the new one"
        yield warning(check, fact, breaks=breaks, mend="run doctor again when it is done")
    elif stack.status == "UPDATE_ROLLBACK_COMPLETE":
        yield warning(check, fact, breaks="the last update has had no effect", mend=events)
    else:
        yield error(check, fact, breaks="parts of it are missing, or are old", mend=events)


def _parameters(stack: Stack) -> Iterator[Finding]:
    changed = [
        f"{parameter} is {stack.parameters[parameter]}, and {stack.function[field]} in the function"
        for parameter, field in FIELDS.items()
        if stack.parameters.get(parameter, str(stack.function[field])) != str(stack.function[field])
    ]
    if not changed:
        yield ok("stack.parameters", "the function is as the stack's parameters have it")
        return
    yield warning(
        "stack.parameters",
        "; ".join(changed),
        breaks="the next deployment takes back what was changed by hand",
        mend="deploy it with the new value: --parameter-overrides",
    )


def _failed_invocations(stack: Stack) -> Iterator[Finding]:
    check = "stack.failed-invocations"
    if not (url := stack.outputs.get(FAILED)):
        yield warning(
            check,
            "the stack has no queue for invocations that failed",
            breaks="a direct call that nobody waits for is gone when it has failed three times",
            mend=f"deploy it as deploy/template.yaml is: {DEPLOY}",
        )
        return
    with asking():
        client = make_client("sqs", config=CONFIG)
        name = "ApproximateNumberOfMessages"
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    if not (count := int(answer["Attributes"][name])):
        yield ok(check, "there are none")
        return
    yield warning(
        check,
        f"{count} sweeps or direct calls failed three times",
        breaks="a direct call that nobody waits for has done nothing; a sweep is made up for",
        mend=f"aws sqs receive-message --queue-url {url} shows the event and the error; "
        f"aws sqs purge-queue --queue-url {url} forgets them",
    )
