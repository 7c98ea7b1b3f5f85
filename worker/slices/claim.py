"""The claim of a job by this worker: its lease, from when it is taken until its kernel is ready."""

from __future__ import annotations

import logging
import math
import secrets
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CorruptCheckpoint, LeaseLost, StoreUnavailable
from outlast.checkpoint.parts import Lease
from outlast.checkpoint.status import Status
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.reporting import report_claim
from outlast.worker.telemetry.events import QUEUE_UNAVAILABLE, STORE_UNAVAILABLE, tell

if TYPE_CHECKING:
    from outlast.checkpoint.jobs import Held
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.process import Runtime

log = logging.getLogger("outlast.claim")

# A lease that has lost no more than this is not worth a write.
BRIEF_SECONDS = 1.0


class Claim:
    """The right to run the next slice of one job.

    It is taken before anything of the kernel is imported or runs: that may take the process down,
    and then the slice has been counted.
    """

    def __init__(self, runtime: Runtime, delivery: Delivery, held: Held) -> None:
        """Want the job as it was read in `held`, for which `delivery` has come."""
        self._runtime = runtime
        self._delivery = delivery
        self._before = held
        self._held = held
        self.seconds = longer(runtime.pace.lease_seconds, held.record)
        """How long the lease is."""

    def take(self) -> Held | None:
        """Take the lease; return None if the job has been given up instead.

        Raises:
            VersionConflict: someone else was faster.
        """
        # A worker that dies is not to cost a queue's whole visibility timeout, which on Lambda is
        # many times that of a slice. A consumer asked for the right one when it received the
        # message, and is spared a request.
        if self._delivery.hidden_seconds < self.seconds:
            self.keep_hidden(self.seconds)
        runtime, record, lease = self._runtime, self._before.record, self._new_lease()
        begun = runtime.clock()
        try:
            reason = record.exhausted()
            moved = _given_up(record, lease, reason) if reason else record.claimed(lease)
        except CorruptCheckpoint as error:
            moved = _given_up(record, lease, str(error))
        self._held = runtime.jobs.replace(self._before, moved)
        runtime.pace.saw_save(runtime.clock() - begun)
        report_claim(record, moved, runtime.platform)
        return None if moved.status is Status.FAILED else self._held

    def renewed(self) -> Held:
        """Return the job with the whole lease from now, if time of it has passed.

        Raises:
            LeaseLost: it was over and another worker has the job, or a person stopped it.
        """
        runtime, lease = self._runtime, self._held.record.lease
        now = runtime.jobs.clock()
        if lease is None or now - lease.claimed_at < BRIEF_SECONDS:
            return self._held
        expires_at, at_risk = now + self.seconds, runtime.pace.at_risk_seconds

        def renewed(record: Record) -> Record:
            return record.renewed(expires_at=expires_at, at_risk_seconds=at_risk)

        try:
            self._held = runtime.jobs.advance(self._held, lease.token, renewed)
        except StoreUnavailable as error:
            effect = f"job {self._held.record.job_id} goes on with the lease that it has"
            tell(log, STORE_UNAVAILABLE, effect=effect, error=str(error))
            return self._held
        self.keep_hidden(self.seconds)
        return self._held

    def give_back(self) -> None:
        """Undo the claim, as nothing of the job was run; where that fails a stall stays counted."""
        record, before = self._held.record, self._before.record
        token = record.lease.token if record.lease else ""
        try:
            self._runtime.jobs.advance(self._held, token, lambda found: found.unclaimed(before))
        except (StoreUnavailable, LeaseLost) as error:
            effect = f"job {record.job_id} was not given back and waits for the end of its lease"
            tell(log, STORE_UNAVAILABLE, effect=effect, error=str(error))

    def keep_hidden(self, seconds: float) -> None:
        """Hide the message of the job; without that it costs a look, so go on."""
        try:
            self._runtime.queue.hide(self._delivery, seconds)
        except QueueUnavailable as error:
            effect = "a message may come again too soon"
            tell(log, QUEUE_UNAVAILABLE, effect=effect, error=str(error))

    def _new_lease(self) -> Lease:
        runtime = self._runtime
        now = runtime.jobs.clock()
        return Lease(
            worker=runtime.worker,
            platform=runtime.platform,
            token=secrets.token_hex(8),
            claimed_at=now,
            expires_at=now + self.seconds,
            at_risk_seconds=runtime.pace.at_risk_seconds,
        )


def longer(seconds: float, record: Record) -> float:
    """Return a time that doubles with every two slices in a row that did not advance the job.

    Were a lease too short for the first step, the job would be taken from one worker after
    another, to the benefit of none. But a job whose workers happened to be killed waits for it.
    """
    return seconds * math.pow(2.0, min(record.guards.stalls, 16) / 2)


def _given_up(record: Record, lease: Lease, reason: str) -> Record:
    return record.lost(lease.claimed_at).failed(reason)
