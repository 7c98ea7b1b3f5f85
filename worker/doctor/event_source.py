"""The event source mapping, which feeds a queue's messages to a Lambda function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_lambda import LambdaClient

    from outlast.worker.doctor.finding import Finding


def find_mapping(client: LambdaClient, name: str, queue_arn: str) -> dict[str, Any] | None:
    """Return the mapping, a disabled one only if there is no other; None: there is none."""
    answer = client.list_event_source_mappings(FunctionName=name, EventSourceArn=queue_arn)
    mappings = sorted(
        answer["EventSourceMappings"], key=lambda mapping: mapping.get("State") == "Enabled"
    )
    return dict(mappings[-1]) if mappings else None


def event_source_findings(
    mapping: dict[str, Any] | None, name: str, queue_arn: str
) -> Iterator[Finding]:
    """Check the mapping from the queue to the function `name`; None: there is none."""
    if mapping is None:
        yield error(
            "function.event-source",
            "the queue feeds no message to this function",
            breaks="no job is worked on by it",
            mend=f"aws lambda create-event-source-mapping --function-name {name} "
            f"--event-source-arn {queue_arn} --batch-size 1 "
            "--function-response-types ReportBatchItemFailures --scaling-config "
            "MaximumConcurrency=10; or Events in deploy/template.yaml",
        )
        return
    change = _change(mapping)
    yield _state(mapping, change)
    yield _batch(mapping, change)
    yield _responses(mapping, change)
    if mapping.get("FilterCriteria", {}).get("Filters"):
        yield error(
            "function.filter",
            "the mapping has FilterCriteria",
            breaks="a message that does not match them is deleted, and its job sleeps",
            mend=f"{change} --filter-criteria '{{}}'",
        )
    if window := mapping.get("MaximumBatchingWindowInSeconds"):
        yield warning(
            "function.batching-window",
            f"MaximumBatchingWindowInSeconds is {window}",
            breaks=f"each slice may begin {window} s late",
            mend=f"{change} --maximum-batching-window-in-seconds 0",
        )


def change_of(mapping: dict[str, Any]) -> str:
    """Return the command, but for its last number, that sets how many slices run at once."""
    return f"{_change(mapping)} --scaling-config MaximumConcurrency="


def _change(mapping: dict[str, Any]) -> str:
    return f"aws lambda update-event-source-mapping --uuid {mapping.get('UUID', 'UUID')}"


def _state(mapping: dict[str, Any], change: str) -> Finding:
    state = mapping.get("State", "")
    if state in {"Enabled", "Enabling", "Updating", "Creating"}:
        return ok("function.event-source", f"{mapping['EventSourceArn']} feeds it ({state})")
    return error(
        "function.event-source",
        f"the event source mapping is {state}: {mapping.get('StateTransitionReason', '')}",
        breaks="no job is worked on by it",
        mend=f"{change} --enabled",
    )


def _batch(mapping: dict[str, Any], change: str) -> Finding:
    size = mapping.get("BatchSize", 10)
    if size == 1:
        return ok("function.batch-size", "1")
    return warning(
        "function.batch-size",
        f"{size}",
        breaks="the slices of a batch share one time-out, one after the other",
        mend=f"{change} --batch-size 1; or BatchSize in deploy/template.yaml",
    )


def _responses(mapping: dict[str, Any], change: str) -> Finding:
    if "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []):
        return ok("function.responses", "ReportBatchItemFailures")
    return error(
        "function.responses",
        "ReportBatchItemFailures is not set",
        breaks="AWS deletes even the messages that the function has refused: only a sweep wakes "
        "their jobs, and no message reaches the dead-letter queue",
        mend=f"{change} --function-response-types ReportBatchItemFailures; or "
        "FunctionResponseTypes in deploy/template.yaml",
    )
