"""A Lambda function and the event source mapping that feeds it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError

from outlast.checkpoint.aws_client import make_client
from outlast.worker.doctor.divided_jobs import parallel_finding
from outlast.worker.doctor.environment import environment_findings
from outlast.worker.doctor.event_source import event_source_findings, most_at_once
from outlast.worker.doctor.finding import Denied, Unreachable, error, ok, warning
from outlast.worker.doctor.sqs_queue import SqsExamination, is_denied
from outlast.worker.slices.platforms import MB_PER_CORE, lambda_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_lambda import LambdaClient

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.doctor.queues import QueueExamination
    from outlast.worker.settings import Settings

CONFIG = Config(
    connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
)
LITTLE_MEMORY_MB = 512
SHORT_TIMEOUT_SECONDS = 30
ADVISED_TIMEOUTS = 6
MISSING = "ResourceNotFoundException"


def function_checks(name: str, settings: Settings, queue: QueueExamination) -> list[Check]:
    """Return the checks of the function `name`; none of them invokes or changes it."""
    examination = FunctionExamination(name, settings, queue)
    return [
        examination.configuration,
        examination.environment,
        examination.recursion,
        examination.visibility,
        examination.event_source,
        examination.parallel,
    ]


class FunctionExamination:
    """Examines one Lambda function."""

    def __init__(self, name: str, settings: Settings, queue: QueueExamination) -> None:
        self._name = name
        self._settings = settings
        self._queue = queue

    @cached_property
    def _client(self) -> LambdaClient:
        client: LambdaClient = make_client("lambda", config=CONFIG)
        return client

    @cached_property
    def _configuration(self) -> dict[str, Any]:
        try:
            return dict(self._client.get_function_configuration(FunctionName=self._name))
        except ClientError as refused:
            if refused.response["Error"].get("Code") == MISSING:
                mend = "correct the name, or AWS_DEFAULT_REGION: aws lambda list-functions"
                raise Unreachable(f"there is no function {self._name}", mend=mend) from refused
            if is_denied(refused):
                raise Denied(f"these credentials may not: {refused}") from refused
            raise

    @property
    def _sqs(self) -> SqsExamination:
        if isinstance(self._queue, SqsExamination):
            return self._queue
        mend = "set OUTLAST_QUEUE to the function's queue, sqs://queue-name"
        raise Unreachable("OUTLAST_QUEUE is not an SQS queue, so it feeds no function", mend=mend)

    def configuration(self) -> Iterator[Finding]:
        """Check state, time-out and memory."""
        current = self._configuration
        state = current.get("State", "Active")
        update = current.get("LastUpdateStatus", "Successful")
        if state in {"Failed", "Inactive"} or update == "Failed":
            reason = current.get("StateReason") or current.get("LastUpdateStatusReason")
            yield error(
                "function.state",
                f"{state}, last update {update}: {reason or 'no reason'}",
                breaks="it runs no slice, or an old version of it",
                mend="deploy it again: aws cloudformation deploy, as in docs/deploy-lambda.md",
            )
        else:
            yield ok("function.state", f"{self._name} is {state}")
        yield self._timeout(current["Timeout"])
        yield self._memory(current["MemorySize"])

    def _timeout(self, seconds: int) -> Finding:
        name = "function.timeout"
        if seconds >= SHORT_TIMEOUT_SECONDS:
            return ok(name, f"slices of up to {seconds} s")
        return warning(
            name,
            f"time-out {seconds} s",
            breaks="much of each slice goes into starting, saving and sending",
            mend=f"aws lambda update-function-configuration --function-name {self._name} "
            "--timeout 900; or TimeoutSeconds in deploy/template.yaml",
        )

    def _memory(self, megabytes: int) -> Finding:
        name, cores = "function.memory", lambda_threads(megabytes)
        mend = f"aws lambda update-function-configuration --function-name {self._name} "
        if megabytes < LITTLE_MEMORY_MB:
            breaks = "kernels run out of memory, and on a fraction of a core"
            mend += f"--memory-size {MB_PER_CORE}; or MemoryMegabytes in deploy/template.yaml"
            return warning(name, f"{megabytes} MB", breaks=breaks, mend=mend)
        threads = self._variables.get("OUTLAST_THREADS", "")
        if threads.isdecimal() and int(threads) > cores:
            return warning(
                name,
                f"{megabytes} MB bring {cores} core(s), OUTLAST_THREADS is {threads}",
                breaks="the threads share the cores, and kernels get slower",
                mend="take OUTLAST_THREADS out of the function's environment",
            )
        return ok(name, f"{megabytes} MB, {threads or cores} thread(s)")

    @property
    def _variables(self) -> dict[str, str]:
        variables: dict[str, str] = self._configuration.get("Environment", {}).get("Variables", {})
        return variables

    def environment(self) -> Iterator[Finding]:
        """Check that the function has the same store and queue as this environment."""
        where = "the function's environment, as deploy/template.yaml does"
        yield from environment_findings("function", self._variables, self._settings, where=where)

    def recursion(self) -> Iterator[Finding]:
        """Check that AWS lets a function send the message that starts its next slice."""
        answer = self._client.get_function_recursion_config(FunctionName=self._name)
        name, loop = "function.recursion", answer.get("RecursiveLoop")
        if loop == "Allow":
            yield ok(name, "RecursiveLoop is Allow")
            return
        yield error(
            name,
            f"RecursiveLoop is {loop}",
            breaks="AWS drops each job's message after some 16 slices: jobs stop without an error",
            mend=f"aws lambda put-function-recursion-config --function-name {self._name} "
            "--recursive-loop Allow; or RecursiveLoop: Allow in deploy/template.yaml",
        )

    def visibility(self) -> Iterator[Finding]:
        """Check that the queue hides a message for as long as the function may take."""
        timeout = self._configuration["Timeout"]
        hidden = int(self._sqs.attributes["VisibilityTimeout"])
        name, fact = "function.visibility", f"time-out {timeout} s, visibility timeout {hidden} s"
        seconds = min(ADVISED_TIMEOUTS * timeout, 43_200)
        mend = f"aws sqs set-queue-attributes --queue-url {self._sqs.url} --attributes "
        mend += f"VisibilityTimeout={seconds}; or Timeouts in deploy/template.yaml"
        if hidden < timeout:
            breaks = "AWS refuses the event source mapping, and messages come again while their "
            breaks += "slice runs"
            yield error(name, fact, breaks=breaks, mend=mend)
        elif hidden < ADVISED_TIMEOUTS * timeout:
            breaks = "AWS holds messages before the function has them, and some come twice; AWS "
            breaks += f"advises {ADVISED_TIMEOUTS} time-outs"
            yield warning(name, fact, breaks=breaks, mend=mend)
        else:
            yield ok(name, fact)

    def event_source(self) -> Iterator[Finding]:
        """Check the mapping that feeds the queue's messages to the function."""
        arn = self._sqs.attributes["QueueArn"]
        yield from event_source_findings(self._client, self._name, arn)

    def parallel(self) -> Iterator[Finding]:
        """Check that the jobs for many workers have as many."""
        arn = self._sqs.attributes["QueueArn"]
        most, change = most_at_once(self._client, self._name, arn)
        mend = f"{change}N; or MaxConcurrency in deploy/template.yaml"
        yield parallel_finding("function.parallel", self._settings.store, most, mend=mend)
