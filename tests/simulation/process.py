"""One process: its clock, its share of the faults, and how it touches the world."""

from __future__ import annotations

from contextlib import contextmanager
from math import inf
from random import Random
from threading import get_ident, local
from typing import TYPE_CHECKING

from outlast.worker.slices.heartbeat import BEAT_SECONDS
from tests.simulation.clockwork import Crash
from tests.simulation.timing import judge_preparation, judge_unwanted
from tests.simulation.violation import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.record import Record
    from tests.simulation.clockwork import Actor
    from tests.simulation.ledger import Job
    from tests.simulation.world import World

EPOCH = 1_800_000_000.0
EFFECTS_A_SECOND = 50.0
FREEZE_SECONDS = (10.0, 200.0)
# A step as long as that may take a lease.
LONG_STEP_SECONDS = 1.0
# `HERE.process` is the process that the running thread belongs to.
HERE = local()


class Process:
    """The life of a worker, or of a person.

    Attributes:
        name: for the trace. rng: its own share of chance.
        tokens: of all leases that this process ever had.
        unsaved_seconds: of computing since it last stored a checkpoint.
        longest_step_seconds: in the running slice.
        unwanted_seconds: of computing in the running slice after a person has stopped the job.
        job: the one that was claimed last.
        raised: jobs whose kernels raised an error since they were claimed.
        loaded: jobs whose kernels were loaded. swept: jobs whose message a sweep is about to send.
        is_doomed: it dies at its next effect.
        slice_seconds: how long its slices should be; None: its platform or a signal ends them.
        is_plain: it is a plain worker, whose platform does not end it.
        is_stopping: it was sent a stop signal.
        is_alive: it has not crashed. robbed: how often another took its job for no good reason.
        is_hindered: something went wrong since it last stored something.
        is_excused: something went wrong in this invocation, or took long.
        has_suffered: something went wrong in the running slice.
        began_at: its clock at the last claim. sweep_began_at: at the running sweep, if any.
        sweep_ended_at, sweep_took_seconds: of the last sweep.
        is_idle: there was no message when it last asked for one.
        killed_at: when its platform kills it, by its own clock; None: it does not.
        threads: those that run beside the main one, by their identifiers.
        write_began_at: when the write began that was stored last.
        sends_since: when the first of them began; None: there is none.
        longest_send_seconds: for which there were such in the running slice.
        writes_for: the job for which it is writing, as it has it; None: for none that it has.
    """

    def __init__(self, world: World, actor: Actor, *, is_person: bool = False) -> None:
        self.world = world
        self._main = actor
        self.threads: dict[int, Actor] = {}
        self.write_began_at = 0.0
        self.sends_since: float | None = None
        self.longest_send_seconds = 0.0
        HERE.process = self
        self.name = actor.name
        self.is_person = is_person
        self.rng = Random(f"{world.seed} {self.name}")
        # Workers' clocks differ by minutes; a person's does not matter.
        self._skew = 0.0 if is_person else world.draw_skew(self.rng)
        self.tokens: set[str] = set()
        self.unsaved_seconds = 0.0
        self.longest_step_seconds = 0.0
        self.unwanted_seconds = 0.0
        self.job: Job | None = None
        self.raised: set[str] = set()
        self.loaded: set[str] = set()
        self.swept: set[str] = set()
        self.is_doomed = False
        self.killed_at: float | None = None
        self.slice_seconds: float | None = None
        self.is_plain = False
        self.is_stopping = False
        self.is_alive = True
        self.is_hindered = False
        self.is_excused = False
        self.has_suffered = False
        self.robbed = 0
        self.began_at = 0.0
        self.is_idle = False
        self.sweep_began_at: float | None = None
        self.sweep_ended_at = self.sweep_took_seconds = 0.0
        self.writes_for: Record | None = None
        self._beat: Callable[[], object] | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def actor(self) -> Actor:
        """The thread that is running, or the main one."""
        return self.threads.get(get_ident(), self._main) if self.threads else self._main

    def clock(self) -> float:
        """Return monotonic seconds."""
        return self.actor.now

    def wall_clock(self) -> float:
        """Return seconds since the epoch, as this machine has them."""
        return self.true_time() + self._skew

    def true_time(self) -> float:
        """Return seconds since the epoch, as the store has them."""
        return EPOCH + self.actor.now

    def sleep(self, seconds: float) -> None:
        """Let time pass for this process."""
        self.actor.now += seconds

    @contextmanager
    def repeat(self, act: Callable[[], object]) -> Iterator[None]:
        """Do `act` every second that passes by `pass_time` within the block."""
        self._beat = act
        try:
            yield
        finally:
            self._beat = None

    def pass_time(self, seconds: float) -> None:
        """Be busy for so long, while others act and the heart beats."""
        end = self.actor.now + seconds
        dead = inf if self.killed_at is None else self.killed_at
        while self._beat is not None and self.actor.now + BEAT_SECONDS < min(end, dead):
            self.actor.now += BEAT_SECONDS
            self.beat()
        self.actor.now = max(self.actor.now, end)

    def beat(self) -> None:
        """Let the heart beat, if it does."""
        if self._beat is None:
            return
        try:
            self._beat()
        except Exception:  # noqa: BLE001 - it ends the real heartbeat
            self._beat = None
        except Crash:  # A kernel's step, in which it happens, would be blamed for it.
            self._beat, self.is_doomed = None, True

    def meet(self, where: str) -> None:
        """Let others act until it is this moment for all."""
        if not self.is_alive:
            raise Crash
        if self.is_doomed:
            self.crash(where)
        self.die_if_due()
        self.world.clockwork.wait(self.actor)
        if not self.is_alive:  # Another thread has met its end.
            raise Crash

    def meet_threads(self) -> None:
        """Let the other threads act until now; within a step of a kernel."""
        if not self.threads:
            return
        try:
            self.world.clockwork.wait(self.actor)
        except Crash:  # as in `beat`
            self.is_doomed = True

    def prepare(self, job: Job, seconds: float) -> None:
        """Be busy for so long with the job's kernel."""
        self.is_excused = True
        self.pass_time(seconds)
        self.die_if_due()
        if self.is_doomed:
            self.crash("while a kernel is loaded")
        if job.job_id not in self.loaded:
            judge_preparation(self, job)

    def took(self, job: Job, token: str) -> None:
        """Begin a slice of the job under a new lease."""
        self.job = job
        self.began_at = self.actor.now
        self.tokens.add(token)
        self.world.holders[token] = self
        self.unsaved_seconds = self.longest_step_seconds = self.unwanted_seconds = 0.0
        self.longest_send_seconds = 0.0
        self.has_suffered = False
        self.raised.discard(job.job_id)

    def computed(self, seconds: float, *, frozen: float) -> None:
        """Take a step of the kernel that lasts so long, and in which all stands still for a time.

        `seconds` includes what is frozen.
        """
        self.is_hindered = self.is_hindered or seconds > LONG_STEP_SECONDS
        self.is_excused = self.is_excused or seconds > LONG_STEP_SECONDS
        self.actor.now += frozen
        self.pass_time(seconds - frozen)
        self.unsaved_seconds += seconds
        self.longest_step_seconds = max(seconds, self.longest_step_seconds)

    def suffer(self) -> None:
        """Note that something goes wrong."""
        self.is_hindered = self.is_excused = self.has_suffered = True

    @contextmanager
    def writing_for(self, record: Record) -> Iterator[None]:
        """Write for this job, which the process has, within the block."""
        self.writes_for = record
        try:
            yield
        finally:
            self.writes_for = None

    @contextmanager
    def effect(self, operation: str, error: type[Exception]) -> Iterator[str | None]:
        """Come to an effect: time passes, others act. Gives what else is to go wrong with it.

        Raises:
            error: it does not happen, or it happens without an answer.
        """
        world = self.world
        fault = world.faults.draw(operation, self.name, self.rng)
        if fault is not None:
            self.suffer()
        if self.unwanted_seconds:
            judge_unwanted(self)
        if fault == "crash before":
            self.is_doomed = True
        if fault == "freeze":
            self.actor.now += self.rng.uniform(*FREEZE_SECONDS)
        self.actor.now += self.rng.expovariate(EFFECTS_A_SECOND)
        self.meet(f"before {operation}")
        if fault == "refuse":
            raise error("simulated")
        yield fault
        if fault == "crash after":
            self.crash(f"after {operation}")
        if fault == "lose answer":
            raise error("simulated")

    def die_if_due(self) -> None:
        """End here if the platform has killed the process by now."""
        if self.killed_at is not None and self.actor.now >= self.killed_at:
            self.actor.now = self.killed_at
            require(self.is_excused, f"{self} was killed at its time-out, and nothing went wrong")
            self.crash("at its time-out")

    def crash(self, where: str) -> None:
        """End here; a person has more patience."""
        if self.is_person:
            self.is_doomed = False
            return
        self.is_alive = False
        self.world.note(self, f"CRASH {where}")
        self.world.rules.crashed(self)
        raise Crash
