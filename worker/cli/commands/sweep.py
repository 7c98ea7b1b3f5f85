"""outlast sweep: wake the jobs whose message was lost."""

from __future__ import annotations

from outlast.worker.cli.options import AfterSeconds, Debug, Json
from outlast.worker.cli.streams import put, put_json


def sweep(
    *,
    after_seconds: AfterSeconds = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Wake the jobs whose message was lost, and print their ids.

    That is every job that is neither over, paused nor being worked on and has been silent for
    a while. Idle workers do this by themselves; doing it too often is harmless, as a message
    carries the number of its slice and a duplicate is dropped.

    Examples:
        outlast sweep
        outlast sweep --after-seconds 5

    Exit codes:
        0  done, even if there was nothing to wake
        1  the store or the queue is at fault
        2  a setting is wrong
    """
    from outlast.worker.cli.logs import level_of, log_to_stderr
    from outlast.worker.jobs.client import Client

    client = Client()
    settings = client.settings
    # Those that were woken are the answer; a log line of each besides is for those who ask for it.
    log_to_stderr(level_of(settings, otherwise="ERROR"), log_format=settings.log_format)
    woken = client.sweep(after_seconds=after_seconds)
    if as_json:
        put_json({"woken": woken})
    else:
        for job_id in woken:
            put(job_id)
