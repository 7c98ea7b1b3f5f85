"""outlast status: how a job stands."""

from __future__ import annotations

from typing import Any

from outlast.worker.cli.options import Debug, JobId, Json
from outlast.worker.cli.streams import put_fields, put_json


def status(job_id: JobId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Print how a job stands.

    The status is queued, running, paused, succeeded, failed or cancelled. Progress is what is
    stored: a slice that runs may be further, by one interval between checkpoints. compute_seconds
    is the time spent in the kernel over all slices, redone_seconds at most so much of it was lost
    to crashes and done again. Times are in UTC. A job that does not advance shows how many stalls
    and failures in a row it has had, of how many after which it is given up; with --json stalls
    count the slice that runs, too, until it advances.

    Examples:
        outlast status million
        outlast status million --json

    Exit codes:
        0  whatever the status is
        1  there is no such job, or the store is at fault
        2  the id or a setting is wrong
    """
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.view import view

    found = view(Client(read_only=True).status(job_id))
    if as_json:
        put_json(found)
    else:
        put_fields(found | _shown(found))


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a person reads in another way than a program."""
    notices = [f"{notice['target']} ({notice['status']})" for notice in found["notify"]]
    shown = {
        "progress": f"{found['progress']:.2%}",
        "tags": " ".join(found["tags"]) or None,
        "notify": ", ".join(notices) or None,
        # The slice that runs may yet advance.
        "stalls": _share(found["stalls"] - bool(found["worker"]), found["max_stalls"], "slices"),
        "max_stalls": None,
        "failures": _share(found["failures"], found["max_failures"], "errors"),
        "max_failures": None,
    }
    if found["platform"]:
        from outlast.worker.slices.platforms import title_of

        shown["platform"] = title_of(found["platform"])
    return shown


def _share(count: int, most: int, of_what: str) -> str | None:
    return f"{count} of {most} ({of_what} in a row without progress)" if count > 0 else None
