"""A serverless endpoint at RunPod, as its REST interface shows it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from functools import cached_property
from typing import TYPE_CHECKING, Any

from outlast.worker.doctor.divided_jobs import parallel_finding
from outlast.worker.doctor.environment import PLACEHOLDER, environment_findings
from outlast.worker.doctor.finding import Denied, Unreachable, error, ok, warning
from outlast.worker.runpod_handler import DEFAULT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings

# RunPod's own tools read the interface's address from the same variable.
BASE, BASE_VARIABLE = "https://rest.runpod.io/v1", "RUNPOD_REST_API_URL"
ANSWER_SECONDS = 20.0
RUNPOD_DEFAULT_MS = 600_000
LONG_IDLE_SECONDS = 60
REFUSED = {401, 403}
BUSY = {429, *range(500, 600)}
PATCH = (
    'curl -X PATCH {base}/endpoints/{id} -H "Authorization: Bearer $RUNPOD_API_KEY" '
    "-H 'Content-Type: application/json' -d '{change}'"
)


def endpoint_checks(endpoint_id: str, settings: Settings) -> list[Check]:
    """Return the checks of the endpoint; none of them calls it."""
    examination = EndpointExamination(endpoint_id, settings)
    return [
        examination.reach,
        examination.timeout,
        examination.workers,
        examination.parallel,
        examination.environment,
    ]


class EndpointExamination:
    """Examines one endpoint; the key is read from RUNPOD_API_KEY."""

    def __init__(self, endpoint_id: str, settings: Settings) -> None:
        self._id = endpoint_id
        self._settings = settings
        self._base = os.environ.get(BASE_VARIABLE, BASE).rstrip("/")

    @cached_property
    def _endpoint(self) -> dict[str, Any]:
        if not (key := os.environ.get("RUNPOD_API_KEY", "")):
            mend = "export RUNPOD_API_KEY=…: the console makes keys, one that may read is enough"
            raise Denied("RUNPOD_API_KEY is not set", mend=mend)
        request = urllib.request.Request(  # noqa: S310 - the operator sets the address
            f"{self._base}/endpoints/{self._id}?includeTemplate=true",
            headers={"Authorization": f"Bearer {key}", "User-Agent": "outlast"},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                endpoint: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._refusal(error.code) from error
        except OSError as error:
            mend = f"check the network and {BASE_VARIABLE}"
            raise Unreachable(f"{self._base}: {error}", mend=mend) from error
        return endpoint

    def _refusal(self, status: int) -> Denied | Unreachable:
        if status in REFUSED:
            mend = "correct RUNPOD_API_KEY, or let the key read this endpoint"
            return Denied(f"RunPod refuses RUNPOD_API_KEY (HTTP {status})", mend=mend)
        if status in BUSY:
            mend = "run doctor again in some minutes"
            return Unreachable(f"{self._base} answers with HTTP {status}", mend=mend)
        mend = "correct the id: it is in the console, and in the URL that calls go to"
        return Unreachable(f"{self._base} knows no endpoint {self._id} (HTTP {status})", mend=mend)

    def _patch(self, change: str) -> str:
        return PATCH.format(base=self._base, id=self._id, change=change)

    def reach(self) -> Iterator[Finding]:
        """Check that the endpoint exists."""
        yield ok("endpoint.reach", f"{self._endpoint.get('name') or self._id}")

    def timeout(self) -> Iterator[Finding]:
        """Check that a call may take as long as the handler works."""
        seconds = (self._endpoint.get("executionTimeoutMs") or RUNPOD_DEFAULT_MS) / 1000
        if seconds > DEFAULT_SECONDS:
            yield ok("endpoint.timeout", f"a call may take {seconds:g} s")
            return
        yield error(
            "endpoint.timeout",
            f"a call may take {seconds:g} s, and works for {DEFAULT_SECONDS:g} s by default",
            breaks="RunPod ends it before it saves: each call loses its work since the last "
            "checkpoint, and its answer",
            mend=self._patch('{"executionTimeoutMs": 3600000}')
            + ', or call with a smaller "max_seconds"',
        )

    def workers(self) -> Iterator[Finding]:
        """Check how many workers there may be, and how long an idle one is paid for."""
        endpoint = self._endpoint
        minimum, maximum = endpoint.get("workersMin") or 0, endpoint.get("workersMax")
        if maximum == 0:
            yield error(
                "endpoint.workers",
                "workersMax is 0",
                breaks="no call is ever worked on",
                mend=self._patch('{"workersMax": 3}'),
            )
        elif minimum:
            yield warning(
                "endpoint.workers",
                f"workersMin is {minimum}",
                breaks=f"{minimum} workers are paid for around the clock",
                mend=self._patch('{"workersMin": 0}'),
            )
        else:
            yield ok("endpoint.workers", f"0 to {maximum}")
        idle = endpoint.get("idleTimeout") or 0
        if idle > LONG_IDLE_SECONDS:
            yield warning(
                "endpoint.idle",
                f"idleTimeout is {idle} s",
                breaks=f"each worker is paid for {idle} s after its last call",
                mend=self._patch('{"idleTimeout": 5}'),
            )
        else:
            yield ok("endpoint.idle", f"a worker ends {idle} s after its last call")

    def parallel(self) -> Iterator[Finding]:
        """Check that the jobs for many workers have as many."""
        most, mend = self._endpoint.get("workersMax"), self._patch('{"workersMax": N}')
        yield parallel_finding("endpoint.parallel", self._settings.store, most, mend=mend)

    def environment(self) -> Iterator[Finding]:
        """Check that the workers have the same store and queue as this environment."""
        template = self._endpoint.get("template") or {}
        theirs = (template.get("env") or {}) | (self._endpoint.get("env") or {})
        store = theirs.get("OUTLAST_STORE", "")
        if store.startswith(("redis", PLACEHOLDER)):
            theirs = {"OUTLAST_QUEUE": store} | theirs  # as they take it
        where = "the template's env, as docs/deploy-runpod.md does"
        yield from environment_findings("endpoint", theirs, self._settings, where=where)
