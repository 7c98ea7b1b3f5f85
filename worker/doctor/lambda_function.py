"""A Lambda function and the event source mapping that feeds it."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from outlast.checkpoint.aws_client import make_client
from outlast.worker.doctor.aws import CONFIG, asking
from outlast.worker.doctor.concurrency import (
    backlog_finding,
    concurrency_findings,
    most_at_once,
)
from outlast.worker.doctor.divided_jobs import parallel_finding
from outlast.worker.doctor.environment import environment_findings
from outlast.worker.doctor.event_source import change_of, event_source_findings, find_mapping
from outlast.worker.doctor.finding import Unreachable, error, ok, warning
from outlast.worker.doctor.lambda_kind import (
    LONGEST_MANAGED_SECONDS,
    LONGEST_SECONDS,
    kind_findings,
)
from outlast.worker.doctor.sqs_queue import SqsExamination
from outlast.worker.doctor.state_sizes import memory_finding, time_finding
from outlast.worker.slices.platforms import MB_PER_CORE, lambda_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_lambda import LambdaClient

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.doctor.jobs import JobsExamination
    from outlast.worker.doctor.queues import QueueExamination
    from outlast.worker.settings import Settings

LITTLE_MEMORY_MB = 512
ADVISED_TIMEOUTS = 6
MISSING = "ResourceNotFoundException"
UPDATE = "aws lambda update-function-configuration --function-name"


def function_checks(
    name: str, settings: Settings, queue: QueueExamination, jobs: JobsExamination | None
) -> list[Check]:
    """Return the checks of the function `name`; none of them invokes or changes it.

    Without `jobs`, as their store is not reached, it is not compared with their sizes.
    """
    examination = FunctionExamination(name, settings, queue)
    sizes = [partial(examination.sizes, jobs)] if jobs else []
    return [
        examination.configuration,
        examination.environment,
        examination.recursion,
        examination.visibility,
        examination.event_source,
        examination.concurrency,
        examination.parallel,
        *sizes,
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
            with asking():
                return dict(self._client.get_function_configuration(FunctionName=self._name))
        except ClientError as refused:
            if refused.response["Error"].get("Code") == MISSING:
                mend = "correct the name, or AWS_DEFAULT_REGION: aws lambda list-functions"
                raise Unreachable(f"there is no function {self._name}", mend=mend) from refused
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
        yield from kind_findings(self._name, current)
        yield self._memory(current["MemorySize"])

    def _memory(self, megabytes: int) -> Finding:
        name, cores = "function.memory", lambda_threads(megabytes)
        mend = f"{UPDATE} {self._name} "
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
        yield from event_source_findings(self._mapping, self._name, arn)

    @cached_property
    def _mapping(self) -> dict[str, Any] | None:
        return find_mapping(self._client, self._name, self._sqs.attributes["QueueArn"])

    def concurrency(self) -> Iterator[Finding]:
        """Check what bounds the slices at once."""
        if mapping := self._mapping:
            change = change_of(mapping)
            yield from concurrency_findings(self._client, self._name, mapping, change)

    def parallel(self) -> Iterator[Finding]:
        """Check that as many slices run at once as the queue and the jobs for many workers need."""
        mapping = self._mapping or {}
        change, most = change_of(mapping), most_at_once(self._client, self._name, mapping)
        waiting = int(self._sqs.attributes.get("ApproximateNumberOfMessages", 0))
        yield backlog_finding(waiting, most, self._configuration["Timeout"], change)
        mend = f"{change}N; or MaxConcurrency in deploy/template.yaml"
        yield parallel_finding("function.parallel", self._settings.store, most, mend=mend)

    def sizes(self, jobs: JobsExamination) -> Iterator[Finding]:
        """Check that a slice can load and save the states of the jobs at work."""
        seconds, change = self._configuration["Timeout"], f"{UPDATE} {self._name}"
        longer = f"{change} --timeout {LONGEST_SECONDS}; or TimeoutSeconds in deploy/template.yaml"
        if seconds >= LONGEST_SECONDS:
            longer = "take workers that live longer: outlast worker on a server of yours, or "
            longer += f"Lambda Managed Instances ({LONGEST_MANAGED_SECONDS:,} s)"
        largest, memory = jobs.stored.largest, self._configuration["MemorySize"]
        yield time_finding("function.state-time", largest, seconds, mend=longer)
        larger = f"{change} --memory-size MB; or MemoryMegabytes in deploy/template.yaml"
        yield memory_finding("function.state-memory", largest, memory, mend=larger)
