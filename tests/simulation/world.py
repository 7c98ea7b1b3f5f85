"""One simulated world: a few workers, a few jobs, a person or two, and a seed that decides all."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import nullcontext
from math import inf
from random import Random
from typing import TYPE_CHECKING

from outlast.checkpoint.codec import decode
from outlast.checkpoint.register import Stored
from outlast.checkpoint.status import Status
from outlast.worker.queues.receives import MAX_RECEIVES
from outlast.worker.settings import Settings
from tests.records import with_damaged_state
from tests.simulation.chunks import PROMISED_SECONDS, TOLERANCE_SECONDS
from tests.simulation.clockwork import Clockwork
from tests.simulation.faults import Faults
from tests.simulation.ledger import Job, is_whole
from tests.simulation.message_queue import Broker, Entry
from tests.simulation.painting import Paint
from tests.simulation.people import Person
from tests.simulation.place import Place, brief
from tests.simulation.rules import Rules
from tests.simulation.store import LATE_SECONDS, Store
from tests.simulation.threads import simulated_threads
from tests.simulation.timing import SWEEP_SECONDS
from tests.simulation.violation import require
from tests.simulation.workers import Machine

if TYPE_CHECKING:
    from tests.simulation.outcome import Event
    from tests.simulation.process import Process

FAULTY_SECONDS = (60.0, 400.0)
MINUTE_SECONDS = (10.0, 90.0)
OUTAGE_SECONDS = (6.0, 120.0)
LONGEST_END_SECONDS = 7 * 24 * 3600.0
LOOK_SECONDS = 60.0
SKEW_SECONDS = 240.0
YEAR_SECONDS = 365 * 24 * 3600.0
# In a few worlds each save, or each look at all jobs, takes so long.
SLOW_SECONDS = (5.0, 9.0)
SLOW_SWEEP_SECONDS = (60.0, 200.0)
RARE_SHARE = 0.1
# Of the worlds, those with a place for arrays; of these, those without memory for copies; and of
# their jobs those that have some.
PLACE_SHARE = 0.2
FULL_SHARE = 0.2
PAINT_SHARE = 0.75
# Of the worlds, those whose store and queue are one database.
DATABASE_SHARE = 0.3
# Of the worlds, those in which claims may wait for the first write of their slice.
WAITING_SHARE = 0.3
FOREIGN = ("hello", '{"job_id":"../x"}', '{"job_id":"nobody","slice":1}')


def has_place(seed: int) -> bool:
    """Whether there is a place for arrays in this seed's world."""
    return Random(f"{seed} has place").random() < PLACE_SHARE


class World:
    """Everything that is simulated.

    Attributes:
        trace: what happened.
        place: where arrays are; None: nowhere. free_bytes: of memory for copies of them.
        sweeps: whether workers sweep. version: of the kernel that is deployed.
        save_seconds: how long each save takes. listing_seconds: each look of a sweep at all jobs.
        is_year_off: some clocks are wrong by a year.
        is_one_database: store and queue are one.
        claims_wait: workers guess, by `brief_rng`, that slices are brief.
        holders: who took each lease.
        timeout_seconds: of a function or a call. visibility_seconds: of a function's queue.
    """

    def __init__(self, seed: int, *, left_out: frozenset[str] = frozenset()) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.place = Place(self) if has_place(seed) else None
        self.place_rng = of_place = Random(f"{seed} place")
        self.free_bytes = 0.0 if of_place.random() < FULL_SHARE else inf
        self._outage_rng = Random(f"{seed} outages")
        self.faults = Faults(
            self.rng,
            self._outage_rng,
            left_out=left_out,
            of_place=of_place if self.place else None,
        )
        self.clockwork = Clockwork()
        self.rules = Rules(self)
        self.trace: list[Event] = []
        self.sweeps = self.faults.may_lose or self.rng.random() < 0.5
        self.broker = Broker(
            is_fifo=self.rng.random() < 0.3,
            takes_old_receipts=self.rng.random() < 0.5,
            max_receives=MAX_RECEIVES,
        )
        self.store = Store()
        shares = Random(f"{seed} one database").random() < DATABASE_SHARE
        self.is_one_database = shares and not self.broker.is_fifo
        self.brief_rng = Random(f"{seed} brief")
        self.claims_wait = self.brief_rng.random() < WAITING_SHARE
        self.skews = self.rng.random() < 0.5
        self.is_year_off = self.rng.random() < RARE_SHARE
        self.most_skew = SKEW_SECONDS if self.skews else 0.0
        self.save_seconds = self._draw_slow(SLOW_SECONDS)
        self.listing_seconds = self._draw_slow(SLOW_SWEEP_SECONDS)
        self.holders: dict[str, Process] = {}
        self.checkpoint_seconds = self.rng.choice((0.5, 1.5, 4.0))
        self.slice_seconds = self.rng.choice((1.0, 3.0, 6.0))
        # A platform that kills before its worker could save twice is of no use.
        self.timeout_seconds = self.rng.choice((4.0, 10.0, 40.0)) + 6 * self.save_seconds
        self.visibility_seconds = self.timeout_seconds * self.rng.choice((1.0, 6.0))
        self.settings = Settings(slice_seconds=self.slice_seconds, sweep_seconds=SWEEP_SECONDS)
        self.version = 1
        self.is_quiet = False
        self.jobs = {job.job_id: job for job in map(self._new_job, range(self.rng.randint(1, 4)))}
        self.workers = [Machine(self, n) for n in range(self.rng.randint(1, 3))]
        self.person = Person(self)

    def _draw_slow(self, seconds: tuple[float, float]) -> float:
        return self.rng.uniform(*seconds) if self.rng.random() < RARE_SHARE else 0.0

    def _new_job(self, number: int) -> Job:
        kinds = ("sound", "poison", "stalling", "deadly")
        kind = self.rng.choices(kinds, (16, 2, 2, 1))[0]
        steps = self.rng.randint(4, 40)
        targets = Random(f"{self.seed} {number}").choice((0, 1, 1, 2))
        notify = tuple(f"https://target-{n}" for n in range(targets))
        return Job(f"job-{number}", kind, steps, notify=notify, paint=self._draw_paint(kind))

    def _draw_paint(self, kind: str) -> Paint | None:
        """Return what a job has of arrays."""
        rng = self.place_rng
        if self.place is None or kind == "stalling" or rng.random() > PAINT_SHARE:
            return None
        return Paint(is_seeded=rng.random() < 0.5, returns=rng.random() < 0.5)

    def draw_skew(self, rng: Random) -> float:
        """Return by how much one machine's clock is wrong."""
        if self.is_year_off:
            return rng.choice((-YEAR_SECONDS, 0.0, YEAR_SECONDS))
        return rng.uniform(-SKEW_SECONDS, SKEW_SECONDS) if self.skews else 0.0

    def note(self, process: Process, text: str, detail: object = None) -> None:
        """Remember what happened."""
        self.trace.append((self.clockwork.now, process.name, text, detail))

    def run(self) -> None:
        """Let everything go wrong for some minutes, then nothing, until all jobs are over.

        Raises:
            Violation: a promise was broken.
        """
        logging.disable(logging.CRITICAL)
        threads = simulated_threads(self.free_bytes) if self.place else nullcontext()
        with threads:
            self._run()

    def _run(self) -> None:
        try:
            for worker in self.workers:
                worker.start()
            self.person.start()
            if self.rng.random() < 0.5:
                self.clockwork.call(self._minute, after=self.rng.uniform(1.0, 60.0))
            after = self._outage_rng.uniform(*MINUTE_SECONDS)
            self.clockwork.call(self._minute_of_the_store, after=after)
            if self.place is not None:
                after = self.place_rng.uniform(*MINUTE_SECONDS)
                self.clockwork.call(self._minute_of_arrays, after=after)
            self.clockwork.run(self.rng.uniform(*FAULTY_SECONDS))
            self._calm_down()
            self.clockwork.run(LATE_SECONDS[1])
            self._settle()
            self._end()
        finally:
            self.clockwork.close()
            logging.disable(logging.NOTSET)

    def _calm_down(self) -> None:
        self.faults.stop()
        self.is_quiet = True
        self.store.back_at = self.clockwork.now
        self.version = 2
        for worker in self.workers:
            worker.upgrade()

    def _settle(self) -> None:
        """From now on duplicates have to die out."""
        for job in self.jobs.values():
            if job.record is not None:
                job.settled_slice = job.record.slice_number + 2
            job.spares = sum(entry.job_id == job.job_id for entry in self.broker.entries)

    def _end(self) -> None:
        end = self.clockwork.now + LONGEST_END_SECONDS
        while unsettled := self._unsettled():
            require(self.clockwork.now <= end, f"not over after a week without faults: {unsettled}")
            self.clockwork.run(LOOK_SECONDS)
        for job in self.jobs.values():
            self._judge_end(job)
        if self.place is not None:
            self.rules.chunks.clean_up()

    def _unsettled(self) -> list[str]:
        jobs = [
            f"{job} is {job.record and job.record.status}"
            for job in self.jobs.values()
            if not self.person.is_content(job)
        ]
        return jobs + [entry.body for entry in self.broker.entries if entry.job_id]

    def _judge_end(self, job: Job) -> None:
        if job.is_deleted:
            return
        assert job.record is not None
        is_sound, status = job.kind == "sound", job.record.status
        require(
            is_sound or status is not Status.SUCCEEDED, f"{job}, which is {job.kind}, succeeded"
        )
        require(
            not is_sound or status is not Status.FAILED or job.is_damaged,
            f"{job} failed: {job.record.error}",
        )
        self.rules.judge_notices(job)

    def _minute(self) -> None:
        """What happens to the world as a whole, about once a minute."""
        if self.is_quiet:
            return
        match self.faults.draw("minute", "world", self.rng):
            case "purge":
                for entry in self.broker.entries:
                    if entry.job_id:
                        self.jobs[entry.job_id].is_lossy = True
                self.broker.entries.clear()
            case "roll back":
                self._roll_back(self.rng.choice(list(self.jobs.values())))
            case "damage":
                self._damage(self.rng.choice(list(self.jobs.values())))
            case "deploy":
                self.version = 2
                self.rng.choice(self.workers).upgrade()
        if self.sweeps and self.rng.random() < 0.2:
            self.broker.entries.append(
                Entry(self.rng.choice(FOREIGN), "", None, self.clockwork.now)
            )
        self.clockwork.call(self._minute, after=self.rng.uniform(*MINUTE_SECONDS))

    def _roll_back(self, job: Job) -> None:
        if job.paint is not None:
            self._fail_over(job)
            return
        key = f"jobs/{job}"
        history = self.store.history.get(key, [])
        if job.is_deleted or len(history) < 2:
            return
        stored = history[self.rng.randrange(max(0, len(history) - 20), len(history) - 1)]
        history.append(stored)
        self._go_back(job, stored)

    def _fail_over(self, job: Job) -> None:
        """Lose the writes of some seconds: what is left of them is the chunks."""
        since = self.clockwork.now - PROMISED_SECONDS + TOLERANCE_SECONDS
        left = [n for n, need in enumerate(job.needs[1:], 1) if need.since >= since]
        if job.is_deleted or not left:
            return
        first = self.place_rng.choice(left)
        history = self.store.history[f"jobs/{job}"]
        del job.needs[first:], history[first:]
        self._go_back(job, history[-1])
        assert job.record is not None
        self.rules.chunks.require_there(job, job.record)

    def _go_back(self, job: Job, stored: Stored) -> None:
        self._put_back(job, stored)
        assert job.record is not None
        job.is_lossy = True
        # Its own message may have been sent before it was stored that it was.
        job.sends = Counter({job.record.slice_number: 1})
        self.trace.append((self.clockwork.now, "store", "ROLLED BACK to {}", job.record))

    def _damage(self, job: Job) -> None:
        """Turn one bit of the newest checkpoint, if the one before it can serve."""
        stored = self.store.values.get(f"jobs/{job}")
        if stored is None or job.record is None or len(job.record.checkpoints) < 2:
            return
        if not all(map(is_whole, job.record.checkpoints)):
            return
        self._put_back(job, Stored(with_damaged_state(stored.value), stored.version))
        job.is_damaged = True
        self.trace.append((self.clockwork.now, "store", "DAMAGED {}", job.record))

    def _minute_of_the_store(self) -> None:
        """Let the store be away for longer than a slice, now and then."""
        rng = self._outage_rng
        if self.is_quiet:
            return
        if self.faults.draw("minute of the store", "outage", rng):
            self.store.back_at = self.clockwork.now + rng.uniform(*OUTAGE_SECONDS)
            self.trace.append((self.clockwork.now, "store", "AWAY until {}", self.store.back_at))
        self.clockwork.call(self._minute_of_the_store, after=rng.uniform(*MINUTE_SECONDS))

    def _minute_of_arrays(self) -> None:
        """What happens to arrays as a whole."""
        rng = self.place_rng
        if self.is_quiet:
            return
        fault = self.faults.draw("minute of arrays", "place", rng)
        jobs = [job for job in self.jobs.values() if job.paint and job.record]
        if jobs and fault == "damage":
            self._damage_chunk(rng.choice(jobs))
        elif jobs and fault == "fail over":
            self._fail_over(rng.choice(jobs))
        self.clockwork.call(self._minute_of_arrays, after=rng.uniform(*MINUTE_SECONDS))

    def _damage_chunk(self, job: Job) -> None:
        """Turn a bit of a chunk that only the newest checkpoint has, if the other can be read."""
        place, record = self.place, job.record
        if place is None or record is None or len(record.checkpoints) < 2:
            return
        newest, other = record.checkpoints
        own = [chunk for chunk in newest.chunks if chunk not in other.chunks]
        if own and is_whole(other) and all(map(place.is_sound, other.chunks)):
            chunk = self.place_rng.choice(own)
            place.damage(chunk.name)
            job.is_damaged = True
            self.trace.append((self.clockwork.now, "place", "DAMAGED {}", brief(chunk.name)))

    def _put_back(self, job: Job, stored: Stored) -> None:
        self.store.values[f"jobs/{job}"] = stored
        job.record = decode(stored.value)
        job.stalled = job.record.guards.stalls
        job.raised = 10**6  # Errors before that are forgotten.

    def figures(self) -> Counter[str]:
        """Return how often each thing happened."""
        figures = Counter(self.faults.fired)
        figures["events"] = self.clockwork.events
        for job in self.jobs.values():
            figures["jobs deleted"] += job.is_deleted
            if job.record is not None:
                figures[f"jobs {job.record.status}"] += 1
                figures["slices"] += job.record.usage.slices_begun
        return figures
