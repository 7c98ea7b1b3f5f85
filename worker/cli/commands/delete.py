"""outlast delete, prune: remove jobs, by id or by age."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import Failures
from outlast.worker.cli.filters import OfKernel, OlderThan, Statuses, WithTags, selection_of
from outlast.worker.cli.job_ids import JobIds, for_each
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import print_json_array

if TYPE_CHECKING:
    from outlast.checkpoint.record import Head

COLUMNS = "{:<32} {:<10} {:<24} {}"

Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Also jobs that are not over, which ends them, and damaged records."
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

    for_each(job_ids, delete_one, "is deleted", as_json=as_json)


def prune(
    *,
    older_than: OlderThan,
    statuses: Statuses = None,
    kernel: OfKernel = None,
    tags: WithTags = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Delete finished jobs by age.

    A job's age is the time since its end; one that is not over is never deleted, whatever the
    options say. Results and checkpoints go with the jobs, and there is no way back: so prune prints
    the jobs and, on a terminal, asks. Elsewhere --yes is needed. Marks of deleted jobs (see
    `outlast delete --help`) are cleared after 30 days.

    Examples:
        outlast prune --older-than 30d
        outlast prune --older-than 2w --status succeeded --tag nightly --dry-run
        outlast prune --older-than 30d --yes --json

    Exit codes:
        0  done, even if there was nothing to delete, or the answer was no
        1  a record cannot be read and was left, or the store is at fault
        2  the command line or a setting is wrong; nothing was done
    """
    from outlast.checkpoint.safe_text import redacted
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.prune import forget_deletions, is_prunable
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
            print(COLUMNS.format(*view.values()))
    is_meant = bool(old) and not dry_run and (yes or _agrees(len(old), store))
    deleted = [v for v in old if is_meant and prune_one(jobs, v["job_id"], selection)]
    if is_meant or (yes and not old):
        forget_deletions(jobs)
    if as_json:
        print_json_array(old if dry_run else deleted)
    else:
        print(f"{_summary(len(old), len(deleted), dry_run=dry_run)} in {store}")
    failures.exit_if_any()


def _agrees(count: int, store: str) -> bool:
    sys.stdout.flush()
    try:
        return typer.confirm(f"delete {_jobs(count)} in {store} for good?", err=True)
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
