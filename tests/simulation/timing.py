"""How long things may take: leases, waits of messages, silence, and work that nobody wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from tests.simulation.violation import require

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from tests.simulation.ledger import Job
    from tests.simulation.process import Process

SWEEP_SECONDS = 60.0
LONGEST_SILENCE_SECONDS = 24 * 3600.0
LONGEST_BACKOFF_SECONDS = 300.0
LONGEST_POSTPONEMENT_SECONDS = 60.0
LONGEST_HIDE_SECONDS = 900.0
SHORTEST_LEASE_SECONDS = 5.0
LONGEST_ANSWER_SECONDS = 10.0
# Seconds since the epoch lose some digits.
ROUNDING_SECONDS = 0.001
# Of the time of a slice, less a step that would perhaps not have fitted.
FAIR_SHARE = 0.25
USUAL_STEP_SECONDS = 0.6
# By a first save that takes longer than anybody could know.
MOST_ROBBED = 1
# Between two sweeps a worker does other things for so many times as long as a sweep took.
REST_FACTOR = 4.0
# Between a look at the clock and the write that follows, where nothing freezes.
PROMPT_SECONDS = 1.0


def judge_lease(process: Process, job: Job, new: Record) -> None:
    """Judge a lease that a worker has just claimed or renewed."""
    assert new.lease is not None
    length = new.lease.expires_at - new.updated_at
    require(
        length <= _longest_lease(process, new.guards.stalls) + ROUNDING_SECONDS,
        f"{process} took {new.job_id} for {length:.1f} s",
    )
    if process.world.faults.spares_the_store:
        least = max(3 * process.world.checkpoint_seconds, SHORTEST_LEASE_SECONDS)
        require(
            length >= least - PROMPT_SECONDS,
            f"{process} saved {new.job_id} with a lease of {length:.1f} s",
        )
    job.longest_lease = max(job.longest_lease, length)


def judge_preparation(process: Process, job: Job) -> None:
    """Judge whether the lease of a job has lived on while its kernel was loaded."""
    lease = job.record and job.record.lease
    if lease and lease.token in process.tokens and process.world.faults.spares_the_store:
        late = process.true_time() - lease.expires_at
        require(
            late < 0 or job.is_lossy,
            f"the lease of {job} ended {late:.1f} s before {process} had its kernel",
        )


def judge_hide(process: Process, job: Job, seconds: float) -> None:
    """Judge for how long a worker hides a message."""
    own = _longest_lease(process, job.stalled + 1)
    longest = max(LONGEST_HIDE_SECONDS, own, job.longest_lease + 2 * process.world.most_skew)
    require(seconds <= longest + ROUNDING_SECONDS, f"{process} hides {job} for {seconds:.0f} s")


def judge_sweep(process: Process, job_id: str, old: Record, new: Record) -> None:
    """Judge whether a job that is swept was silent for long enough."""
    lease_end = old.lease.expires_at if old.lease else 0.0
    silent = new.updated_at - max(old.updated_at, old.not_before, lease_end)
    patience = min(SWEEP_SECONDS * 2.0**old.guards.sweeps, LONGEST_SILENCE_SECONDS)
    require(
        (silent >= patience or process.world.is_year_off) and old.status is not Status.PAUSED,
        f"{job_id} was swept after {silent:.0f} s of silence while {old.status}",
    )


def judge_share(process: Process, new: Record) -> None:
    """Judge whether a slice that was interrupted has used a fair share of its time."""
    if process.slice_seconds is None or not process.world.faults.spares_the_store:
        return
    lasted = process.clock() - process.began_at
    require(
        lasted >= FAIR_SHARE * process.slice_seconds - USUAL_STEP_SECONDS,
        f"{process} ended a slice of {new.job_id} after {lasted:.2f} s",
    )


def judge_loss(holder: Process, claimer: Process, job: Job) -> None:
    """Judge a worker's loss of a job: one that lives keeps it while its store answers."""
    if holder is claimer or not holder.is_alive or holder.is_hindered or holder.world.skews:
        return
    holder.robbed += 1
    require(holder.robbed <= MOST_ROBBED, f"{holder} lives, and has lost {job} again")


def judge_sweep_share(process: Process) -> None:
    """Judge whether a worker that is about to sweep has had time for messages, if it gets any."""
    if process.is_idle:
        return
    rested = process.clock() - process.sweep_ended_at
    require(
        rested >= REST_FACTOR * process.sweep_took_seconds,
        f"{process} sweeps {rested:.0f} s after a sweep of {process.sweep_took_seconds:.0f} s",
    )
    process.sweep_began_at = process.clock()


def judge_unwanted(process: Process) -> None:
    """Judge the steps of a job that a person has stopped: its worker is to find out."""
    if not process.world.faults.tells_what_was_stored:
        return
    # A save finds out, and on a pause the step after it is the last one.
    most = process.world.checkpoint_seconds + 2 * process.longest_step_seconds
    most += longest_send(process)
    require(
        process.unwanted_seconds <= most + ROUNDING_SECONDS,
        f"{process} worked {process.unwanted_seconds:.2f} s on a job that was stopped",
    )


def longest_send(process: Process) -> float:
    """Return how much later a save may be stored than it began, as its arrays are sent."""
    if process.job is None or process.job.paint is None:
        return 0.0
    under_way = process.clock() - process.sends_since if process.sends_since is not None else 0.0
    # It is found at a safe point that all is there.
    return max(under_way, process.longest_send_seconds) + 2 * process.longest_step_seconds


def _longest_lease(process: Process, stalls: int) -> float:
    """Return how long a lease may be, however slow steps are, and if its write took long once."""
    write = 1.5 * LONGEST_ANSWER_SECONDS
    lease = max(3 * process.world.checkpoint_seconds, write) + write
    return max(lease, SHORTEST_LEASE_SECONDS) * 2.0 ** (stalls / 2)
