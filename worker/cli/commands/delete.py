"""outlast delete, prune: remove jobs, by id or by age."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import Failures
from outlast.worker.cli.filters import OfKernel, OlderThan, Statuses, WithTags, age, selection_of
from outlast.worker.cli.job_ids import JobIds, for_each
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import print_json_array, say
from outlast.worker.cli.tables import Columns

if TYPE_CHECKING:
    from outlast.checkpoint.head import Head

COLUMNS = Columns(
    "{:<32} {:<10} {:<24} {}",
    *("JOB", "STATUS", "UPDATED", "KERNEL"),
    first_out=("KERNEL", "UPDATED"),
)
# Longer than any submission takes to send its arrays.
GRACE_SECONDS = 86_400.0

Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Also jobs that are not over, which ends them, and damaged records."
    ),
]
OrphansAfter = Annotated[
    float | None,
    typer.Option(
        "--orphans-after",
        metavar="AGE",
        parser=age,
        help="Only arrays without a job that are older than this. Default: 1d.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print which jobs it would be.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def delete(
    job_ids: JobIds, *, force: Force = False, as_json: Json = False, _debug: Debug = False
) -> None:
    """Remove jobs that are over.

    Their results and checkpoints go with them; there is no way back. A job that is not over is
    refused without --force. With it, a slice that runs sees it at its next save, as after a cancel.
    Workers drop messages that are still under way for a deleted job, for which a small mark is
    kept; `outlast prune` clears marks after 30 days. Deleting a deleted job does nothing.

    A job that cannot be deleted is reported and does not stop the others. With --json one id prints
    an object; several, or -, print an array of the jobs that were deleted.

    Examples:
        outlast delete million
        outlast delete --force million billion
        outlast list --tag trial --limit 0 --json | jq '.[].job_id' | outlast delete --force -

    Exit codes:
        0  the jobs are deleted
        1  one is not over, there is no such job, or the store is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from outlast.worker.jobs.client import Client

    client = Client()

    def delete_one(job_id: str) -> dict[str, str]:
        client.delete(job_id, force=force)
        return {"job_id": job_id, "status": "deleted"}

    for_each(
        job_ids, delete_one, lambda job_id, _: print(f"job {job_id} is deleted"), as_json=as_json
    )


def prune(
    *,
    older_than: OlderThan,
    statuses: Statuses = None,
    kernel: OfKernel = None,
    tags: WithTags = None,
    orphans_after: OrphansAfter = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Delete finished jobs by age, and arrays that no job needs.

    A job's age is the time since its end; one that is not over is never deleted, whatever the
    options say. Results and checkpoints go with the jobs, and there is no way back: so prune prints
    the jobs and, on a terminal, asks. Elsewhere --yes is needed. Marks of deleted jobs (see
    `outlast delete --help`) are cleared after 30 days, and records of parts that no job needs.

    Workers that are killed and submissions that are cut off leave chunks of arrays that no job
    needs: orphans. Prune removes them as well, from this store's part of OUTLAST_BLOBS. A
    submission that takes longer than --orphans-after loses its arrays: 0s is for times in which
    nobody submits or forks.

    Examples:
        outlast prune --older-than 30d
        outlast prune --older-than 2w --status succeeded --tag nightly --dry-run
        outlast prune --older-than 30d --yes --json

    Exit codes:
        0  done, even if there was nothing to delete, or the answer was no
        1  a record cannot be read and was left, or the store is at fault
        2  the command line or a setting is wrong; nothing was done
    """
    from outlast.checkpoint.blobs.orphans import orphans
    from outlast.checkpoint.safe_text import redacted
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.prune import clear_parts, forget_deletions, is_prunable
    from outlast.worker.jobs.prune import prune as prune_one

    if not (dry_run or yes or sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here: give --yes, or --dry-run to look")
    client, failures = Client(read_only=dry_run), Failures()
    jobs, store = client.jobs, redacted(client.settings.store)
    selection = selection_of(statuses, kernel, tags, older_than, None)
    heads = jobs.heads(on_corrupt=failures)
    old = [_view(head) for head in heads if is_prunable(head, selection, jobs.clock())]
    if not as_json:
        for view in old:
            print(COLUMNS.row(*view.values()))
    blobs, grace = client.blobs, GRACE_SECONDS if orphans_after is None else orphans_after
    lost = [*orphans(blobs, jobs, grace_seconds=grace)] if blobs else []
    what = _jobs(len(old)) + (f" and {_orphans(len(lost))}" if lost else "")
    is_any = bool(old or lost)
    is_meant = is_any and not dry_run and (yes or _agrees(what, store))
    deleted = [v for v in old if is_meant and prune_one(jobs, blobs, v["job_id"], selection)]
    if is_meant and blobs and lost:
        blobs.delete(lost)
    if is_meant or not (is_any or dry_run):
        forget_deletions(jobs)
        clear_parts(jobs)
    if as_json:
        print_json_array(old if dry_run else deleted)
    else:
        print(f"{_summary(len(old), len(deleted), dry_run=dry_run)} in {store}")
    if lost:
        _tell_orphans(len(lost), is_deleted=is_meant, as_json=as_json)
    failures.exit_if_any()


def _tell_orphans(count: int, *, is_deleted: bool, as_json: bool) -> None:
    line = f"{_orphans(count)} {'deleted' if is_deleted else 'would be deleted'}"
    say(line) if as_json else print(line)


def _agrees(what: str, store: str) -> bool:
    sys.stdout.flush()
    try:
        return typer.confirm(f"delete {what} in {store} for good?", err=True)
    except typer.Abort as abort:
        print(file=sys.stderr)
        if isinstance(abort.__context__, EOFError):
            return False
        raise KeyboardInterrupt from None


def _view(record: Head) -> dict[str, Any]:
    from outlast.checkpoint.view import moment

    return {
        "job_id": record.job_id,
        "status": str(record.status),
        "updated_at": moment(record.updated_at),
        "kernel": record.kernel,
    }


def _summary(count: int, deleted: int, *, dry_run: bool) -> str:
    if dry_run:
        return f"{_jobs(count)} would be deleted"
    left = f", {count - deleted} left as they are" if deleted < count else ""
    return f"{_jobs(deleted)} deleted{left}"


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"


def _orphans(count: int) -> str:
    return f"{count:,} orphaned chunk{'' if count == 1 else 's'} of arrays"
