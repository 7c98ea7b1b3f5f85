"""outlast status, result, wait: how a job stands, and its result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import Failures
from outlast.worker.cli.job_ids import JobIds, answers_of, checked_ids, for_each, is_one
from outlast.worker.cli.options import Debug, Json, seconds_option
from outlast.worker.cli.output import (
    print_fields,
    print_json_array,
    print_lines,
    print_result,
    say,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Write the result, with its arrays, to here."),
]
TimeoutSeconds = Annotated[
    float | None,
    seconds_option("--timeout-seconds", "Wait no longer than this. Default: forever."),
]


def status(job_ids: JobIds, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Print how jobs stand.

    The status is queued, running, paused, succeeded, failed or cancelled. Progress is what is
    stored: a slice that runs may be further, by one interval between checkpoints. compute_seconds
    is the time spent in the kernel, as all slices have told; at most redone_seconds were done
    again, as they were thrown away, or lost to crashes, which no slice could tell. metrics are
    figures of the kernel's own, as of the last checkpoint. Times are in UTC. A job that does not
    advance shows how many stalls and failures in a row it has had, and after how many it is given
    up; with --json stalls include the slice that runs, until it advances.

    For a divided job, parts tells how many there are, and how many are done, are with a worker,
    wait or have failed. Progress is then the share of its pieces in parts that are done; slices and
    seconds are those of all parts. Where a part is to be tried again, error tells why. Such a job
    is running from when its parts wait for workers, and one that was cancelled has no progress.

    A job that cannot be read is reported and does not keep the others back. With --json, one id
    prints an object; several, or -, print an array.

    Examples:
        outlast status million
        outlast status million billion --json

    Exit codes:
        0  whatever the status is
        1  there is no such job, or the store is at fault
        2  an id or a setting is wrong
    """
    from outlast.worker.jobs.parts import view_of
    from outlast.worker.jobs.stored_jobs import stored_jobs

    jobs = stored_jobs()

    def fields_of(job_id: str) -> dict[str, Any]:
        return view_of(jobs, jobs.load(job_id).record)

    def show(_: str, fields: dict[str, Any]) -> None:
        print_fields(fields | _as_words(fields))

    for_each(job_ids, fields_of, show, as_json=as_json, apart=True)


def result(
    job_ids: JobIds, *, out: Out = None, as_json: Json = False, _debug: Debug = False
) -> None:
    """Print the results of jobs, without waiting for them.

    An array in it is shown by its type and shape, a blob by its bytes. --out writes the result to a
    folder: each array as a file of numpy's and each blob as it is, named by where they stand in the
    result, such as field.a0.npy and trail.bin; and result.json, which has the names in their place.
    Files of these names are replaced. Of several jobs each has a folder of its own in that one,
    named by its id.

    Several jobs, or -, print a line each, the id and the result. One without a result is reported
    and does not keep the others back. With --json, one id prints the result; several print an array
    of objects, as `outlast wait` does.

    Examples:
        outlast result million
        outlast result million billion --json
        outlast result trained --out ~/trained

    Exit codes:
        0  all results are printed or written
        1  a job failed or was cancelled, there is no such job, its arrays are damaged, the folder
           cannot be written, or the store is at fault
        2  an id or a setting is wrong
        3  a job has no result yet, and nothing else is wrong
    """
    from outlast.worker.jobs.outcome import result_of
    from outlast.worker.jobs.stored_jobs import stored_jobs

    if out is not None:
        _write(job_ids, out, as_json=as_json)
        return
    names, jobs, failures = checked_ids(job_ids), stored_jobs(), Failures()
    if is_one(job_ids):
        print_result(result_of(jobs.load(names[0]).record), as_json=as_json)
        return
    stored = answers_of(names, jobs.load, failures)
    _print_ends((job.record for _, job in stored), failures, as_json=as_json)


def _write(job_ids: list[str], out: Path, *, as_json: bool) -> None:
    """Write the result of each job to a folder, that of several to one below `out`."""
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.result_files import write_result

    client = Client(read_only=True)

    def write(job_id: str) -> dict[str, Any]:
        folder = out if is_one(job_ids) else out / job_id
        files = write_result(client.result(job_id), folder)
        return {"job_id": job_id, "folder": str(folder), "files": files}

    def show(_: str, written: dict[str, Any]) -> None:
        print(f"{written['folder']}: {', '.join(written['files'])}")

    for_each(job_ids, write, show, as_json=as_json)


def wait(
    job_ids: JobIds,
    *,
    timeout_seconds: TimeoutSeconds = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Wait until jobs are over and print their results.

    It only looks: workers elsewhere do the work, and stopping it does nothing to a job. If the
    store stops answering, it asks again until the store does.

    Several jobs, or -, print a line each as they end: the id and the result. One that fails, and
    an id of no job, is reported and does not stop the wait for the others. With --json, one id
    prints the result; several print an array of objects with job_id, status, result and error, also
    of those that failed.

    Examples:
        outlast wait million
        outlast wait million billion --timeout-seconds 600 && echo done
        outlast list --tag nightly --limit 0 --json | jq '.[].job_id' | outlast wait -

    Exit codes:
        0  all results are printed
        1  a job failed or was cancelled, there is no such job, or the store is at fault
        2  an id or a setting is wrong
        3  the time-out passed first
    """
    from outlast.worker.cli.logs import log_to
    from outlast.worker.jobs.outcome import result_of
    from outlast.worker.jobs.stored_jobs import stored_jobs
    from outlast.worker.jobs.waiting import end_of, ends, looks

    log_to(say, "WARNING")
    names, jobs, failures = checked_ids(job_ids), stored_jobs(), Failures()
    one = is_one(job_ids)
    looking = looks(
        jobs,
        [({}, job_id) for job_id in (names if one else _known(jobs, names, failures))],
        in_order=False,
        timeout_seconds=timeout_seconds,
        watch=Changes(),
    )
    if one:
        print_result(result_of(end_of(looking)), as_json=as_json)
        return
    _print_ends((record for _, record in ends(looking)), failures, as_json=as_json)


def _print_ends(records: Iterable[Record], failures: Failures, *, as_json: bool) -> None:
    """Print the results of several jobs, and end the command if one has none."""
    views = (_end(record, failures) for record in records)
    if as_json:
        print_json_array(views)
    else:
        print_lines(
            f"{view['job_id']}  {text_of(view['result'])}"
            for view in views
            if view["status"] == "succeeded"
        )
    failures.exit_if_any()


def _known(jobs: JobStore, names: list[str], failures: Failures) -> Iterator[str]:
    """Yield the ids of those jobs that can be read; say of each other one why it cannot."""
    from outlast.checkpoint.errors import CorruptRecord, UnknownJob

    known = {head.job_id for head in jobs.heads_of(names, on_corrupt=lambda _: None)}
    for name in names:
        try:
            if name not in known:
                jobs.head_of(name)
        except (CorruptRecord, UnknownJob) as error:
            failures(error)
        else:
            yield name


def _end(record: Record, failures: Failures) -> dict[str, Any]:
    """Return the end of a job as a JSON object; say why it has no result, if it has none."""
    from outlast.checkpoint.view import short
    from outlast.worker.jobs.outcome import JobFailed, JobNotFinished, result_of

    result, error = None, None
    try:
        result = short(result_of(record))
    except JobFailed as failed:
        failures(failed)
        error = record.error or str(record.status)
    except JobNotFinished as unfinished:
        failures(unfinished)
    return {
        "job_id": record.job_id,
        "status": str(record.status),
        "result": result,
        "error": error,
    }


class Changes:
    """Says each change of a job's status once, until the job is over."""

    def __init__(self) -> None:
        self._statuses: dict[str, str] = {}

    def __call__(self, record: Head) -> None:
        """Look at a job as it is now."""
        from outlast.worker.jobs.outcome import progress_of

        if not record.status.is_final and record.status != self._statuses.get(record.job_id):
            self._statuses[record.job_id] = record.status
            say(progress_of(record))


def _as_words(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a person reads in another way than a program."""
    from outlast.checkpoint.view import figures_line

    is_cut_short = fields["status"] == "cancelled" and fields["parallel"] is not None
    notices = [f"{notice['target']} ({notice['status']})" for notice in fields["notify"]]
    words = {
        "progress": None if is_cut_short else f"{fields['progress']:.2%}",
        "metrics": figures_line(fields["metrics"]) or None,
        "tags": " ".join(fields["tags"]) or None,
        "notify": ", ".join(notices) or None,
        # The slice that runs may yet advance.
        "stalls": _share(fields["stalls"] - bool(fields["worker"]), fields["max_stalls"], "slices"),
        "max_stalls": None,
        "failures": _share(fields["failures"], fields["max_failures"], "errors"),
        "max_failures": None,
    }
    if fields["platform"]:
        from outlast.worker.slices.platforms import title_of

        words["platform"] = title_of(fields["platform"])
    return words


def _share(count: int, most: int, what: str) -> str | None:
    return f"{count} of {most} ({what} in a row without progress)" if count > 0 else None
