"""outlast prune: delete finished jobs by age."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import FAULT, Faults
from outlast.worker.cli.filters import OfKernel, OlderThan, Statuses, WithTags, chosen
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.streams import put, put_json_each

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print which jobs it would be.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
COLUMNS = "{:<32} {:<10} {:<24} {}"


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

    A job is never deleted before it is over, whatever the options say; then its age is the time
    since its end. Results and checkpoints go with it, and there is no way back: so the jobs are
    printed, and on a terminal it is asked. Where nobody can be asked, --yes is needed. Marks of
    deleted jobs (see `outlast delete --help`) are cleared after 30 days.

    Examples:
        outlast prune --older-than 30d
        outlast prune --older-than 2w --status succeeded --tag nightly --dry-run
        outlast prune --older-than 30d --yes --json

    Exit codes:
        0  done, even if there was nothing to delete, or the answer was no
        1  a record cannot be read and was left, or the store is at fault
        2  the command line or a setting is wrong; nothing was done
    """
    from outlast.checkpoint.registers import redacted
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.prune import forget_deletions, is_prunable
    from outlast.worker.jobs.prune import prune as prune_one

    if not (dry_run or yes or sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here: give --yes, or --dry-run to look")
    client, faults = Client(read_only=dry_run), Faults()
    jobs, store = client.jobs, redacted(client.settings.store)
    selection = chosen(statuses, kernel, tags, older_than, None)
    heads = jobs.heads(on_corrupt=faults)
    found = [_view(head) for head in heads if is_prunable(head, selection, jobs.clock())]
    if not as_json:
        for view in found:
            put(COLUMNS.format(*view.values()))
    is_meant = bool(found) and not dry_run and (yes or _agrees(len(found), store))
    deleted = [v for v in found if is_meant and prune_one(jobs, v["job_id"], selection)]
    if is_meant or (yes and not found):
        forget_deletions(jobs)
    if as_json:
        put_json_each(found if dry_run else deleted)
    else:
        put(f"{_summary(len(found), len(deleted), dry_run=dry_run)} in {store}")
    if faults.count:
        raise typer.Exit(FAULT)


def _agrees(count: int, store: str) -> bool:
    sys.stdout.flush()
    try:
        return typer.confirm(f"delete {_jobs(count)} in {store} for good?", err=True)
    except typer.Abort as stopped:
        print(file=sys.stderr)
        if isinstance(stopped.__context__, EOFError):
            return False
        raise KeyboardInterrupt from None


def _view(record: Record) -> dict[str, Any]:
    from outlast.worker.jobs.view import moment

    return {
        "job_id": record.job_id,
        "status": str(record.status),
        "updated_at": moment(record.updated_at),
        "kernel": record.kernel,
    }


def _summary(found: int, deleted: int, *, dry_run: bool) -> str:
    if dry_run:
        return f"{_jobs(found)} would be deleted"
    left = f", {found - deleted} left as they are" if deleted < found else ""
    return f"{_jobs(deleted)} deleted{left}"


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"
