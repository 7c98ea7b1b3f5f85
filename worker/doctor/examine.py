"""Every check that fits a deployment, none of which can hide the others."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CheckpointError
from outlast.worker.doctor.finding import RIGHTS, Denied, Level, Unreachable, error, unknown
from outlast.worker.doctor.message_queue import look_at_queue
from outlast.worker.doctor.settings import settings_findings
from outlast.worker.doctor.store import store_checks
from outlast.worker.queues.contract import InvalidQueueUrl, QueueUnavailable
from outlast.worker.settings import InvalidSettings, read_settings
from outlast.worker.slices.kernel_output import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.worker.doctor.finding import Check, Finding

log = logging.getLogger("outlast.doctor")


def examine(*, function: str | None = None, endpoint: str | None = None) -> Iterator[Finding]:
    """Yield what there is to say of this environment's settings, store and queue.

    With `function`, the name of a Lambda function, and `endpoint`, the id of one at RunPod, also
    of these. Raises nothing: what fails is a finding.
    """
    try:
        settings = read_settings()
    except InvalidSettings as wrong:
        yield error(
            "settings.values",
            str(wrong),
            breaks="no command and no worker starts; nothing else was looked at",
            mend="correct or unset that variable, then run doctor again",
        )
        return
    is_remote = function is not None or endpoint is not None
    yield from guarded("settings", [partial(settings_findings, settings, is_remote=is_remote)])
    yield from guarded("store", store_checks(settings))
    queue = look_at_queue(settings)
    yield from guarded("queue", queue.checks())
    if function is not None:
        from outlast.worker.doctor.function import function_checks

        yield from guarded("function", function_checks(function, settings, queue))
    if endpoint is not None:
        from outlast.worker.doctor.endpoint import endpoint_checks

        yield from guarded("endpoint", endpoint_checks(endpoint, settings))


def guarded(subject: str, checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield what the checks find; one that fails is a finding and does not stop the next.

    Only where the subject itself cannot be reached are its further checks left out.
    """
    told: set[Finding] = set()
    for check in checks:
        try:
            yield from check()
        except Unreachable as gone:
            yield _unreachable(subject, str(gone), gone.mend)
            return
        except (CheckpointError, QueueUnavailable, InvalidQueueUrl) as gone:
            found, has_advice, mend = str(gone).rpartition("; ")
            if has_advice:
                yield _unreachable(subject, found, mend)
            else:
                yield _unreachable(subject, str(gone), f"correct OUTLAST_{subject.upper()}")
            return
        except Exception as failed:
            log.debug("a check of the %s failed", subject, exc_info=True)
            finding = _not_looked_at(subject, failed)
            if finding not in told:  # Several checks may lack one and the same right.
                told.add(finding)
                yield finding


def has_errors(findings: Iterable[Finding]) -> bool:
    """Tell whether anything was found that stops or loses jobs."""
    return any(finding.level is Level.ERROR for finding in findings)


def _unreachable(subject: str, found: str, mend: str) -> Finding:
    return error(f"{subject}.reach", found, breaks="no job can run", mend=mend)


def _not_looked_at(subject: str, failed: Exception) -> Finding:
    if isinstance(failed, Denied):
        return unknown(f"{subject}.look", str(failed), mend=failed.mend)
    return unknown(f"{subject}.look", line(failed), mend=_way_out(failed))


def _way_out(failed: Exception) -> str:
    if not type(failed).__module__.startswith("botocore"):
        return RIGHTS
    from outlast.worker.queues.sqs_connection import ADVICE

    return ADVICE.get(type(failed).__name__, RIGHTS)
