"""A stack of deploy/template.yaml, made by CloudFormation over HTTP and changed as people would."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from outlast.worker.doctor.elasticache import SERVERLESS, cache_findings
from outlast.worker.doctor.examine import run_checks
from outlast.worker.doctor.stack import Stack, stack_checks
from outlast.worker.jobs.client import Client
from tests.cli.process import until
from tests.deploy.files import DEPLOY
from tests.doctor.between import Answer, Request, between
from tests.doctor.conftest import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/outlast-lambda:1"
# The emulator has no alarms on expressions, which two of those on metrics are.
PARAMETERS = {"ImageUri": IMAGE, "Metrics": "none", "AlarmEmail": "a@example.com"}
Clients = dict[str, Any]
CLIENTS = ("cloudformation", "cloudwatch", "ec2", "elasticache", "lambda", "s3", "sns", "sqs")


@pytest.fixture
def aws(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Clients of a service without any stack, by their names."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with ExitStack() as stack:
        yield {name: stack.enter_context(closing(boto3.client(name))) for name in CLIENTS}


def deploy(aws: Clients, **parameters: str) -> dict[str, str]:
    """Make the stack `jobs` of the template; return its outputs."""
    described: list[dict[str, str]] = [
        {"ParameterKey": key, "ParameterValue": value}
        for key, value in (PARAMETERS | parameters).items()
    ]
    aws["cloudformation"].create_stack(
        StackName="jobs",
        TemplateBody=(DEPLOY / "template.yaml").read_text(),
        Parameters=described,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    until(lambda: not status(aws).endswith("IN_PROGRESS"))
    assert status(aws) == "CREATE_COMPLETE"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack_of(aws)["Outputs"]}
    # The emulator leaves this property out.
    aws["lambda"].put_function_recursion_config(
        FunctionName=outputs["FunctionName"], RecursiveLoop="Allow"
    )
    return outputs


def stack_of(aws: Clients) -> dict[str, Any]:
    """Return what is told of the stack."""
    return aws["cloudformation"].describe_stacks(StackName="jobs")["Stacks"][0]


def status(aws: Clients) -> str:
    """Return the stack's status."""
    return str(stack_of(aws)["StackStatus"])


def alarms(aws: Clients) -> list[str]:
    """Return the names of the stack's alarms."""
    return [each["AlarmName"] for each in aws["cloudwatch"].describe_alarms()["MetricAlarms"]]


def test_a_stack_as_the_template_makes_it_is_well(aws: Clients, run_doctor: Any) -> None:
    """Doctor would cry wolf, or the template be at fault."""
    outputs = deploy(aws)
    findings = run_doctor(stack="jobs", OUTLAST_STORE="redis://elsewhere", OUTLAST_QUEUE="sqs://no")
    assert problems(findings) == {}
    assert findings["store.reach"].found == outputs["StoreUrl"]
    assert findings["queue.reach"].found.startswith(outputs["QueueUrl"])
    assert {"stack.status", "stack.parameters", "stack.failed-invocations", "stack.alarms"} <= set(
        findings
    )
    assert {"jobs.records", "function.parallel", "function.state-time", "blobs.read"} <= set(
        findings
    )


def test_what_people_change_by_hand_is_told_at_once(aws: Clients, run_doctor: Any) -> None:
    """Each of these is found by a bill, a lost job or a night without a call."""
    outputs = deploy(aws)
    first, second, *_ = sorted(alarms(aws))
    aws["cloudwatch"].disable_alarm_actions(AlarmNames=[first])
    aws["cloudwatch"].set_alarm_state(AlarmName=second, StateValue="ALARM", StateReason="3 letters")
    aws["sqs"].send_message(QueueUrl=outputs["FailedInvocationsUrl"], MessageBody="{}")
    aws["lambda"].update_function_configuration(FunctionName=outputs["FunctionName"], Timeout=300)
    (topic,) = aws["sns"].list_topics()["Topics"]
    for each in aws["sns"].list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"]:
        aws["sns"].unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    findings = run_doctor(stack="jobs")
    assert problems(findings) == {
        "stack.alarms": "warning",
        f"stack.alarm.{second}": "warning",
        f"stack.topic.{topic['TopicArn'].rpartition(':')[2]}": "warning",
        "stack.failed-invocations": "warning",
        "stack.parameters": "warning",
    }
    assert first in findings["stack.alarms"].mend
    assert "3 letters" in findings[f"stack.alarm.{second}"].found
    changed = "TimeoutSeconds is 900, and 300 in the function"
    assert findings["stack.parameters"].found == changed


def test_alarms_that_nobody_hears(aws: Clients, run_doctor: Any) -> None:
    """Dead letters would pile up beside alarms that ring in an empty room."""
    deploy(aws, AlarmEmail="")
    finding = run_doctor(stack="jobs")["stack.alarms"]
    assert (finding.level, finding.found) == ("warning", "5 of 5 alarms have no target")
    assert "AlarmEmail" in finding.mend


def test_the_work_is_compared_with_the_function(aws: Clients, run_doctor: Any) -> None:
    """A job for many workers would take as long as on few, and nobody know why."""
    outputs = deploy(aws, MaxConcurrency="2")
    client = Client(outputs["StoreUrl"], outputs["QueueUrl"])
    client.create("nth-prime", {"position": 10**9}, job_id="wide", parallel=40)
    for _ in range(20):
        aws["sqs"].send_message(QueueUrl=outputs["QueueUrl"], MessageBody='{"job_id": "wide"}')
    findings = run_doctor(stack="jobs")
    assert problems(findings) == {"function.parallel": "warning", "function.backlog": "warning"}
    assert "20 times as long" in findings["function.parallel"].breaks
    assert "MaxConcurrency" in findings["function.backlog"].mend


def test_a_store_in_a_vpc_is_examined_from_outside(aws: Clients, run_doctor: Any) -> None:
    """An operator at a desk would be told that no job can run, and nothing of the cache."""
    vpc = aws["ec2"].create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws["ec2"].create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24")["Subnet"]["SubnetId"]
        for i in range(2)
    ]
    outputs = deploy(aws, Store="redis", VpcId=vpc, SubnetIds=",".join(subnets))
    # A port where nobody listens, in place of a host name that only Docker would have.
    name, store = outputs["FunctionName"], "rediss://:secret@127.0.0.1:1/0"
    variables = {"OUTLAST_STORE": store, "OUTLAST_QUEUE": outputs["QueueUrl"]}
    aws["lambda"].update_function_configuration(
        FunctionName=name, Environment={"Variables": variables}
    )
    findings = run_doctor(stack="jobs")
    assert problems(findings) == {"store.reach": "unknown", "function.parallel": "unknown"}
    assert "VPC" in findings["store.reach"].mend
    assert "secret" not in str(findings)
    cache = {"cache.status", "cache.failover", "cache.snapshots", "cache.eviction"}
    assert cache <= set(findings)
    (group,) = aws["elasticache"].describe_replication_groups()["ReplicationGroups"]
    aws["elasticache"].modify_replication_group(
        ReplicationGroupId=group["ReplicationGroupId"], SnapshotRetentionLimit=0
    )
    changed = run_doctor(stack="jobs")["cache.snapshots"]
    assert changed.level == "warning"
    assert group["ReplicationGroupId"] in changed.mend


@pytest.mark.parametrize(
    ("limits", "expected"), [({"DataStorage": {"Maximum": 1, "Unit": "GB"}}, "ok"), ({}, "warning")]
)
def test_a_serverless_cache_without_bound(
    limits: dict[str, Any], expected: str, ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop would fill it for thousands of dollars."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with closing(boto3.client("elasticache")) as client:
        bound = {"CacheUsageLimits": limits} if limits else {}
        client.create_serverless_cache(
            ServerlessCacheName="c", Engine="valkey", SnapshotRetentionLimit=7, **bound
        )
    findings = {each.check: each for each in cache_findings({SERVERLESS: ["c"]})}
    assert findings["cache.bound"].level == expected
    assert findings["cache.status"].level == "ok"
    assert findings["cache.snapshots"].level == "ok"


def test_no_such_stack(aws: Clients, run_doctor: Any) -> None:
    """A typo would look like a broken deployment, and another store be examined."""
    del aws
    findings = run_doctor(stack="job")
    assert problems(findings) == {"stack.reach": "error"}
    assert set(findings) == {"stack.reach"}
    assert "list-stacks" in findings["stack.reach"].mend


def test_a_stack_of_another_template(aws: Clients, run_doctor: Any) -> None:
    """A person would look for the fault in this one."""
    template = '{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}'
    aws["cloudformation"].create_stack(StackName="jobs", TemplateBody=template)
    until(lambda: status(aws) == "CREATE_COMPLETE")
    findings = run_doctor(stack="jobs")
    assert set(findings) == {"stack.reach"}
    assert "has no output FunctionName, QueueUrl, StoreUrl" in findings["stack.reach"].found


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("cloudformation", {"stack.reach": "error"}),
        ("monitoring", {"stack.look": "unknown"}),
        ("sns", {"stack.look": "unknown"}),
    ],
)
def test_a_user_who_may_not_look(
    service: str, expected: dict[str, str], aws: Clients, ministack: Server, run_doctor: Any
) -> None:
    """One missing right would hide the rest; or a script go on where nothing was examined."""
    deploy(aws)

    def denying(request: Request) -> Answer | None:
        of_service = f"/{service}/aws4_request" in request.headers.get("authorization", "")
        return Answer(403, DENIED_XML, (("Content-Type", "text/xml"),)) if of_service else None

    with between(denying, ministack.url) as url:
        findings = run_doctor(stack="jobs", AWS_ENDPOINT_URL=url)
    assert problems(findings) == expected
    assert ("function.recursion" in findings) == (service != "cloudformation")


DENIED_XML = (
    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "warning"),
        ("UPDATE_ROLLBACK_COMPLETE", "warning"),
        ("UPDATE_ROLLBACK_FAILED", "error"),
        ("DELETE_FAILED", "error"),
    ],
)
def test_a_stack_that_is_not_what_it_seems(state: str, expected: str) -> None:
    """An update that AWS took back looks like one that was made."""
    outputs = {"StoreUrl": "s3://b/jobs"}
    stack = Stack("jobs", state, "", outputs, parameters={}, resources={}, function={})
    (finding,) = run_checks("stack", stack_checks(stack)[:1])
    assert finding.level == expected
