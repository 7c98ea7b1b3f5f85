"""How a record may change from one write to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from outlast.worker.notify.notice import notice_of
from tests.records import flat
from tests.simulation.ledger import is_whole
from tests.simulation.timing import judge_lease, judge_loss, judge_sweep
from tests.simulation.violation import require
from tests.simulation.work import judge_work

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from tests.simulation.ledger import Job
    from tests.simulation.process import Process

Q, R, P = Status.QUEUED, Status.RUNNING, Status.PAUSED
S, F, C = Status.SUCCEEDED, Status.FAILED, Status.CANCELLED

# The statuses that a worker may change to: what a person has stopped stays stopped.
WORKERS_MOVES = {Q: {Q, R, F}, R: {R, Q, S, F}, P: {P, S, F}, S: set(), F: set(), C: set()}
PERSONS_MOVES = {Q: {P, C}, R: {P, C}, P: {Q, R, C}, S: set(), F: {Q}, C: set()}

# What a worker may write without a lease: that a message was sent.
BOOKKEEPING = ("announced", "sweeps", "updated_at", "writes", "writer")
# What a worker may write of a job that is over, without a lease: which targets were notified.
NOTICES = ("owed", "given_up", "rounds", "not_before", *BOOKKEEPING)
# What a person changes who pauses a job or lets it go on.
PAUSING = ("status", *BOOKKEEPING)


def judge_move(process: Process, job: Job, old: Record, new: Record) -> None:
    """Judge a write of a job that was there before."""
    require(
        new.revision.writes == old.revision.writes + 1,
        f"writes went from {old.revision.writes} to {new.revision.writes}",
    )
    if old.notices.owed and (_is_bookkeeping(process, job, old, new) or _is_note(job, old, new)):
        return
    moves = PERSONS_MOVES if process.is_person else WORKERS_MOVES
    require(new.status in moves[old.status], f"{job} went from {old.status} to {new.status}")
    require(
        (new.lease is not None) == (new.status is R) or (new.status is P and new.lease is not None),
        f"{job} is {new.status}, which its lease does not fit",
    )
    require(
        0 <= new.slice_number - old.slice_number <= 1,
        f"slice went from {old.slice_number} to {new.slice_number}",
    )
    for name in ("steps", "saves", "compute_seconds", "redone_seconds"):
        require(getattr(new.usage, name) >= getattr(old.usage, name), f"{name} of {job} sank")
    if new.usage.slices_begun < old.usage.slices_begun:
        _judge_return(process, job, old, new)
        return
    is_claim = new.lease is not None and (old.lease is None or old.lease.token != new.lease.token)
    if is_claim:
        judge_claim(process, job, old, new)
    elif process.is_person:
        _judge_person(process, job, old, new)
    elif not _is_bookkeeping(process, job, old, new):
        judge_work(process, job, old, new)


def _judge_person(process: Process, job: Job, old: Record, new: Record) -> None:
    if old.status is F:
        require(
            (new.guards.failures, new.guards.stalls, new.slice_number)
            == (0, 0, old.slice_number + 1),
            f"the guards of {job} were not set back",
        )
        job.stalled = job.raised = 0
    elif new.status is not C:
        require(_differ_in(PAUSING, job, old, new), f"{process} pauses more than that")


def judge_claim(process: Process, job: Job, old: Record, new: Record) -> None:
    """Judge a claim, by itself or with the first write of its slice."""
    assert new.lease is not None
    now = new.lease.claimed_at
    # A person may pause the job before its claim is stored, with the first write of its slice.
    is_pausing = old.status is new.status is P
    require(old.status in {Q, R} or is_pausing, f"{job} was claimed while {old.status}")
    if not process.world.is_year_off:  # where what another clock has set may be absurd
        require(
            old.lease is None or old.lease.expires_at <= now,
            f"{process} claimed {job}, which another worker has",
        )
        require(old.not_before <= now, f"{job} was to wait for {old.not_before - now:.1f} s")
    if old.lease is not None and old.lease.token in process.world.holders:
        judge_loss(process.world.holders[old.lease.token], process, job)
    broken = {c.digest for c in old.checkpoints if not is_whole(c)}
    kept = {c.digest for c in new.checkpoints + new.quarantine}
    require(broken <= kept, f"a damaged checkpoint of {job} was not kept")
    require(
        new.usage.slices_begun == old.usage.slices_begun + 1, f"a slice of {job} was not counted"
    )
    require(job.stalled < new.limits.max_stalls, f"{job} goes on without ever advancing")
    job.stalled += 1
    job.sweeps.clear()
    if new.lease.token not in process.tokens:
        process.took(job, new.lease.token)
        judge_lease(process, job, new)


def _judge_return(process: Process, job: Job, old: Record, new: Record) -> None:
    """Judge a write that undoes a claim, because the worker cannot run the job."""
    require(
        old.lease is not None and old.lease.token in process.tokens and new.lease is None,
        f"{process} gave {job} back without its lease",
    )
    require(
        (new.usage.slices_begun, new.guards.stalls, new.slice_number)
        == (old.usage.slices_begun - 1, old.guards.stalls - 1, old.slice_number),
        f"{job} was not given back as it was",
    )
    job.stalled -= 1


def _is_bookkeeping(process: Process, job: Job, old: Record, new: Record) -> bool:
    if not _differ_in(BOOKKEEPING, job, old, new):
        return False
    if new.guards.sweeps > old.guards.sweeps:
        judge_sweep(process, job.job_id, old, new)
        process.swept.add(job.job_id)
    return True


def _is_note(job: Job, old: Record, new: Record) -> bool:
    """Whether the write only says which targets were notified of the job's end, and is true."""
    if not _differ_in(NOTICES, job, old, new):
        return False
    event_id = notice_of(old).id
    for target in set(old.notices.owed) - set(new.notices.owed) - set(new.notices.given_up):
        require(job.notices[target, event_id], f"{target} was not notified of {job}")
    return (
        set(new.notices.owed) <= set(old.notices.owed)
        and new.notices.rounds == old.notices.rounds + 1
    )


def _differ_in(names: tuple[str, ...], job: Job, old: Record, new: Record) -> bool:
    """Whether these fields are all in which the two records differ."""
    # A process that has read a record before the damage mends it by writing it back.
    names = (*names, "checkpoints") if job.is_damaged else names
    before, after = flat(old), flat(new)
    return all(after[name] == before[name] for name in before if name not in names)
