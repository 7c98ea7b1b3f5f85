"""A Lambda function and its event source mapping, changed as an operator would."""

from __future__ import annotations

import io
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from outlast.checkpoint.record_parts import Checkpoint
from outlast.worker.doctor.lambda_kind import kind_findings
from outlast.worker.jobs.client import Client
from tests.cli.process import until
from tests.doctor.between import DENIED, Answer, between
from tests.doctor.conftest import problems
from tests.doctor.test_sqs import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_lambda import LambdaClient

    from tests.servers import Server

STORE = "s3://bucket/jobs"


@pytest.fixture
def aws(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaClient]:
    """A client of a service with a function that is as deploy/template.yaml makes it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", STORE)
    with closing(boto3.client("s3")) as s3, closing(boto3.client("sqs")) as sqs:
        s3.create_bucket(Bucket="bucket")
        queue = make(sqs)
    monkeypatch.setenv("OUTLAST_QUEUE", queue)
    with closing(boto3.client("lambda")) as client:
        create(client, "f", {"OUTLAST_STORE": STORE, "OUTLAST_QUEUE": queue})
        client.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
        client.create_event_source_mapping(
            FunctionName="f",
            EventSourceArn="arn:aws:sqs:us-east-1:000000000000:jobs",
            BatchSize=1,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            ScalingConfig={"MaximumConcurrency": 10},
        )
        yield client


def create(client: LambdaClient, name: str, variables: dict[str, str]) -> None:
    """Create a function, and wait until it may be changed."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "def handler(event, context): pass")
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/r",
        Handler="f.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=900,
        MemorySize=1769,
        Environment={"Variables": variables},
    )
    until(lambda: client.get_function_configuration(FunctionName=name)["State"] == "Active")


@pytest.mark.usefixtures("aws")
def test_a_function_that_is_well(run_doctor: Any) -> None:
    """Doctor would cry wolf."""
    findings = run_doctor(function="f")
    assert {name: f.level for name, f in findings.items() if f.level != "ok"} == {}
    assert {
        "function.recursion",
        "function.timeout",
        "function.memory",
        "function.visibility",
        "function.event-source",
        "function.batch-size",
        "function.responses",
        "function.concurrency",
        "function.quota",
        "function.backlog",
        "function.state-time",
        "function.state-memory",
        "function.store",
        "function.queue",
    } <= set(findings)


def test_a_function_that_may_not_wake_itself(aws: LambdaClient, run_doctor: Any) -> None:
    """Each job would stop after some 16 slices, without an error anywhere."""
    aws.put_function_recursion_config(FunctionName="f", RecursiveLoop="Terminate")
    findings = run_doctor(function="f")
    assert problems(findings, "function.") == {"function.recursion": "error"}
    assert "put-function-recursion-config --function-name f" in findings["function.recursion"].mend


VARIABLES = {"OUTLAST_STORE": STORE, "OUTLAST_QUEUE": "sqs://jobs"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Timeout": 3}, {"function.timeout": "warning"}),
        ({"MemorySize": 128}, {"function.memory": "warning"}),
        ({"Environment": {"Variables": VARIABLES}}, {}),
        (
            {"Environment": {"Variables": VARIABLES | {"OUTLAST_THREADS": "8"}}},
            {"function.memory": "warning"},
        ),
        (
            {"Environment": {"Variables": VARIABLES | {"OUTLAST_SPEED": "11"}}},
            {"function.settings": "error"},
        ),
        (
            {"Environment": {"Variables": VARIABLES | {"OUTLAST_STORE": "s3://other"}}},
            {"function.store": "error"},
        ),
        (
            {"Environment": {"Variables": VARIABLES | {"OUTLAST_QUEUE": "sqs://other"}}},
            {"function.queue": "error"},
        ),
        (
            {"Environment": {"Variables": {}}},
            {"function.store": "error", "function.queue": "error"},
        ),
    ],
)
def test_a_function_with_a_fault(
    change: dict[str, Any], expected: dict[str, str], aws: LambdaClient, run_doctor: Any
) -> None:
    """It would work on other jobs, not at all, or slowly."""
    aws.update_function_configuration(FunctionName="f", **change)
    assert problems(run_doctor(function="f"), "function.") == expected


ARN = "arn:aws:lambda:us-east-1:000000000000:capacity-provider:c"


def on_instances(**concurrency: int) -> dict[str, Any]:
    """Return the configuration of a function on Lambda Managed Instances."""
    config = {"CapacityProviderArn": ARN} | concurrency
    return {"CapacityProviderConfig": {"LambdaManagedInstancesCapacityProviderConfig": config}}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({"DurableConfig": {"ExecutionTimeout": 86_400}}, "error"),
        (on_instances(), "warning"),
        (on_instances(PerExecutionEnvironmentMaxConcurrency=16), "warning"),
        (on_instances(PerExecutionEnvironmentMaxConcurrency=1), "ok"),
    ],
)
def test_a_function_of_another_kind(kind: dict[str, Any], expected: str) -> None:
    """A durable function runs no slice; slices that share an environment end each other."""
    findings = {each.check: each for each in kind_findings("f", {"Timeout": 5400} | kind)}
    assert findings["function.kind"].level == expected
    if "CapacityProviderConfig" in kind:
        assert findings["function.timeout"].found.endswith("5,400 s on Lambda Managed Instances")


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("bulk_bytes", "seconds", "expected"),
    [
        (100 << 20, 60, {}),
        (600 << 20, 30, {"function.state-time": "warning"}),
        (1000 << 20, 30, {"function.state-time": "error", "function.state-memory": "error"}),
    ],
)
def test_a_time_out_and_a_memory_that_do_not_fit_the_states(
    bulk_bytes: int, seconds: int, expected: dict[str, str], aws: LambdaClient, run_doctor: Any
) -> None:
    """Every slice would be killed before it has saved, and be paid for."""
    client = Client(STORE)
    client.create("nth-prime", {"position": 10**9}, job_id="a")
    stored = client.jobs.load("a")
    state = Checkpoint.of(b"{}", version=1, slice=1, progress=0.1, saved_at=1.0)
    large = state.model_copy(update={"bulk_bytes": bulk_bytes})
    client.jobs.replace(stored, stored.record.model_copy(update={"checkpoints": (large,)}))
    aws.update_function_configuration(FunctionName="f", Timeout=seconds)
    assert problems(run_doctor(function="f"), "function.state-") == expected


@pytest.mark.parametrize(("seconds", "expected"), [(60, "error"), (900, "warning"), (5400, "ok")])
@pytest.mark.usefixtures("aws")
def test_a_queue_that_shows_messages_too_soon(seconds: int, expected: str, run_doctor: Any) -> None:
    """Each slice would be run twice."""
    with closing(boto3.client("sqs")) as sqs:
        sqs.set_queue_attributes(
            QueueUrl=sqs.get_queue_url(QueueName="jobs")["QueueUrl"],
            Attributes={"VisibilityTimeout": str(seconds)},
        )
    assert run_doctor(function="f")["function.visibility"].level == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Enabled": False}, {"function.event-source": "error"}),
        ({"BatchSize": 10}, {"function.batch-size": "warning"}),
        ({"FunctionResponseTypes": []}, {"function.responses": "error"}),
        ({"ScalingConfig": {}}, {"function.concurrency": "warning"}),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": '{"body": ["x"]}'}]}},
            {"function.filter": "error"},
        ),
        ({"MaximumBatchingWindowInSeconds": 20}, {"function.batching-window": "warning"}),
    ],
)
def test_a_mapping_with_a_fault(
    change: dict[str, Any], expected: dict[str, str], aws: LambdaClient, run_doctor: Any
) -> None:
    """Messages would be deleted, wait, or never come."""
    (mapping,) = aws.list_event_source_mappings(FunctionName="f")["EventSourceMappings"]
    aws.update_event_source_mapping(UUID=mapping["UUID"], **change)
    findings = run_doctor(function="f")
    assert problems(findings, "function.") == expected
    assert mapping["UUID"] in findings[next(iter(expected))].mend


def test_a_function_that_no_queue_feeds(aws: LambdaClient, run_doctor: Any) -> None:
    """Jobs would be stored and sent, and nothing happen."""
    (mapping,) = aws.list_event_source_mappings(FunctionName="f")["EventSourceMappings"]
    aws.delete_event_source_mapping(UUID=mapping["UUID"])
    assert problems(run_doctor(function="f"), "function.") == {"function.event-source": "error"}


@pytest.mark.parametrize(("reserved", "expected"), [(0, "error"), (5, "warning"), (10, "ok")])
def test_reserved_concurrency(
    reserved: int, expected: str, aws: LambdaClient, run_doctor: Any
) -> None:
    """Messages would be throttled into the dead-letter queue, or nothing run at all."""
    aws.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=reserved)
    assert run_doctor(function="f")["function.concurrency"].level == expected


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(("parallel", "expected"), [(None, "ok"), (10, "ok"), (40, "warning")])
def test_a_job_for_more_workers_than_there_may_be(
    parallel: int | None, expected: str, run_doctor: Any
) -> None:
    """A person would wait four times as long, and look for the fault in the job."""
    Client(STORE).create("nth-prime", {"position": 10**9}, job_id="a", parallel=parallel)
    finding = run_doctor(function="f")["function.parallel"]
    assert finding.level == expected
    if expected == "warning":
        assert finding.found == "job a is meant for 40 workers, and 10 may run at once"
        assert "4 times as long" in finding.breaks
        assert "MaximumConcurrency=N" in finding.mend


@pytest.mark.usefixtures("aws")
def test_a_function_that_is_not_there(run_doctor: Any) -> None:
    """A typo would look like five errors of AWS."""
    assert problems(run_doctor(function="g"), "function.") == {"function.reach": "error"}


@pytest.mark.usefixtures("aws")
def test_a_queue_that_feeds_no_function(run_doctor: Any) -> None:
    """A person would not see that it is the queue's kind."""
    findings = run_doctor(function="f", OUTLAST_QUEUE="sqlite:///a.db")
    assert findings["settings.places"].level == "error"
    assert findings["function.reach"].level == "error"
    assert "not an SQS queue" in findings["function.reach"].found


@pytest.mark.usefixtures("aws")
def test_a_missing_region_comes_with_the_way_out(
    run_doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would go through their rights, where a variable is missing."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    findings = run_doctor(function="f", OUTLAST_QUEUE="sqlite:///a.db")
    assert findings["function.look"].mend == "set AWS_DEFAULT_REGION"


def denying(part: str) -> Callable[[Any], Answer | None]:
    """Refuse what has this in its path."""
    return lambda asked: Answer(403, DENIED) if part in asked.path else None


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("part", "still"),
    [
        ("/configuration", "function.recursion"),
        ("/recursion-config", "function.batch-size"),
        ("/event-source-mappings", "function.timeout"),
        ("/concurrency", "function.batch-size"),
        ("/account-settings", "function.parallel"),
    ],
)
def test_a_user_who_may_not_look(part: str, still: str, ministack: Server, run_doctor: Any) -> None:
    """One missing right would hide what the others tell, or count as an error."""
    with between(denying(part), ministack.url) as url:
        findings = run_doctor(function="f", AWS_ENDPOINT_URL=url)
    assert problems(findings, "function.") == {"function.look": "unknown"}
    assert findings[still].level == "ok"
