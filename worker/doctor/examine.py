"""All checks of a deployment; one that fails does not hide the others."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CheckpointError
from outlast.worker.doctor.blobs import blob_checks
from outlast.worker.doctor.finding import RIGHTS, Denied, Level, Unreachable, error, unknown
from outlast.worker.doctor.gpu import gpu_findings
from outlast.worker.doctor.jobs import JobsExamination
from outlast.worker.doctor.queues import examine_queue
from outlast.worker.doctor.settings import settings_findings
from outlast.worker.doctor.store import store_checks
from outlast.worker.queues.contract import InvalidQueueUrl, QueueUnavailable
from outlast.worker.settings import InvalidSettings, read_settings
from outlast.worker.slices.kernel_errors import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings

log = logging.getLogger("outlast.doctor")

IN_VPC = "run doctor on a machine in the stack's VPC, whose security group the store lets in"


def examine(
    *,
    function: str | None = None,
    endpoint: str | None = None,
    stack: str | None = None,
    every: bool = False,
) -> Iterator[Finding]:
    """Yield the findings about these settings, the GPU, the store, its jobs, arrays and the queue.

    Also about `function`, the name of a Lambda function, and `endpoint`, the id of one at RunPod.
    A CloudFormation `stack`, by its name, brings store, queue and function, whatever the settings
    are. Of the jobs it is a sample that is read, or with `every` each record. Nothing is raised: a
    failure is a finding.
    """
    try:
        settings = read_settings()
    except InvalidSettings as wrong:
        yield error(
            "settings.values",
            str(wrong),
            breaks="no command and no worker starts; nothing else was checked",
            mend="correct or unset that variable, then run doctor again",
        )
        return
    if stack is not None:
        yield from _stack(stack, settings, endpoint, every=every)
    else:
        yield from _deployment(settings, function, endpoint, every=every)


def _stack(
    name: str, settings: Settings, endpoint: str | None, *, every: bool
) -> Iterator[Finding]:
    from outlast.worker.doctor.stack import read_stack, stack_checks, stack_settings

    try:
        stack = read_stack(name)
    except Exception as failure:
        log.debug("the stack cannot be read", exc_info=True)
        unread = _unchecked("stack", failure)
        breaks = "nothing was examined: store, queue and function are named by the stack"
        yield error("stack.reach", unread.found, breaks=breaks, mend=unread.mend)
        return
    yield from run_checks("stack", stack_checks(stack))
    settings, function = stack_settings(stack, settings), stack.outputs["FunctionName"]
    findings = _deployment(settings, function, endpoint, every=every)
    yield from _from_outside(findings) if stack.is_in_vpc else findings


def _deployment(
    settings: Settings, function: str | None, endpoint: str | None, *, every: bool
) -> Iterator[Finding]:
    is_remote = function is not None or endpoint is not None
    yield from run_checks("settings", [partial(settings_findings, settings, is_remote=is_remote)])
    yield from run_checks("machine", [gpu_findings])
    of_store = list(run_checks("store", store_checks(settings)))
    yield from of_store
    yield from run_checks("blobs", blob_checks(settings))
    jobs = JobsExamination(settings, every=every) if _is_reached(of_store) else None
    if jobs:
        yield from run_checks("jobs", jobs.checks())
    queue = examine_queue(settings)
    yield from run_checks("queue", queue.checks())
    if function is not None:
        from outlast.worker.doctor.lambda_function import function_checks

        yield from run_checks("function", function_checks(function, settings, queue, jobs))
    if endpoint is not None:
        from outlast.worker.doctor.runpod_endpoint import endpoint_checks

        yield from run_checks("endpoint", endpoint_checks(endpoint, settings))


def _is_reached(findings: Iterable[Finding]) -> bool:
    return any(each.check == "store.reach" and each.level is Level.OK for each in findings)


def _from_outside(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Take a store in a VPC, which is not reached from outside, for unknown."""
    for finding in findings:
        if finding.check == "store.reach" and finding.level is Level.ERROR:
            yield unknown(finding.check, finding.found, mend=IN_VPC)
        else:
            yield finding


def run_checks(subject: str, checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield the findings of the checks; one that fails is a finding, and the next one runs.

    Where the subject itself cannot be reached, its other checks are left out.
    """
    failures: set[Finding] = set()
    for check in checks:
        try:
            yield from check()
        except Unreachable as failure:
            yield _unreachable(subject, str(failure), failure.mend)
            return
        except (CheckpointError, QueueUnavailable, InvalidQueueUrl) as failure:
            fact, has_advice, mend = str(failure).rpartition("; ")
            if has_advice:
                yield _unreachable(subject, fact, mend)
            else:
                yield _unreachable(subject, str(failure), f"correct OUTLAST_{subject.upper()}")
            return
        except Exception as failure:
            log.debug("a check of the %s failed", subject, exc_info=True)
            finding = _unchecked(subject, failure)
            if finding not in failures:  # Several checks may lack the same right.
                failures.add(finding)
                yield finding


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether a finding stops or loses jobs."""
    return any(finding.level is Level.ERROR for finding in findings)


def _unreachable(subject: str, fact: str, mend: str) -> Finding:
    breaks = "no job with arrays can run" if subject == "blobs" else "no job can run"
    return error(f"{subject}.reach", fact, breaks=breaks, mend=mend)


def _unchecked(subject: str, failure: Exception) -> Finding:
    if isinstance(failure, (Denied, Unreachable)):
        return unknown(f"{subject}.look", str(failure), mend=failure.mend)
    return unknown(f"{subject}.look", line(failure), mend=_advice(failure))


def _advice(failure: Exception) -> str:
    if not type(failure).__module__.startswith("botocore"):
        return RIGHTS
    from outlast.checkpoint.aws_client import advice_for

    return advice_for(failure) or RIGHTS
