"""One world: some workers, one job, a person, and whoever decides what happens next."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import patch

from outlast.checkpoint import fleet
from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey
from outlast.worker.jobs.prune import clear_parts
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.fleet import adding_up, call
from outlast.worker.slices.fleet.claimed_part import ClaimedPart
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.slices.timing import Timing
from outlast.worker.slices.worker_process import WorkerProcess
from tests.fleet.ledger import Ledger
from tests.fleet.moves import Move
from tests.fleet.people import PATIENCE_SECONDS, Person
from tests.fleet.scene import FAULTS, JOB, LOSSES, TAIL, Tailed
from tests.fleet.shelf import Letter, Mailbox, Shelf
from tests.fleet.stage import HERE, Actor, Stage
from tests.kernels import Dividing
from tests.unlocked import unlocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.worker.queues.contract import Delivery
    from tests.fleet.moves import Policy
    from tests.fleet.scene import Scene

START = 1_800_000_000.0
BITS = 1
STEP_SECONDS = 1.0
# A sleeper wakes up when its lease has just ended, or when the others have long been done.
FREEZES_SECONDS = (9.0, 5000.0)
SLOW_SECONDS = 12.0
# In a shorter wait nobody else gets a turn.
LEAST_WAIT_SECONDS = 0.05
MOST_MOVES = 5_000
MOST_SWEEPS = 8
MOST_RETRIES = 12
# What may be done although no answer comes.
WRITES = ("put", "delete", "remove", "send", "hide", "ack")


class World:
    """Everything.

    Attributes:
        now: the time. trace: what has happened.
        faults: how often each has. retries: how often a failed job was let go on.
        swept: how often a sweep was needed. sweep_began: how long the trace was at the last one.
        received: the letter of each receipt. tokens: of each actor's newest lease.
    """

    bits = BITS

    def __init__(self, scene: Scene, policy: Policy) -> None:
        self.scene = scene
        self.now = START
        self.trace: list[str] = []
        self.faults: Counter[str] = Counter()
        self.retries = self.swept = self.sweep_began = 0
        self.received: dict[str, Letter] = {}
        self.tokens: dict[Actor, str] = {}
        self.ledger = Ledger(self)
        self.shelf = Shelf(self)
        self.mailbox = Mailbox(self)
        self.stage = Stage(self._crashed)
        self.last: Actor | None = None
        self._policy = policy
        self._budget = Counter(scene.budget)
        self._frozen: dict[Actor, float] = {}
        self._beats: dict[Actor, Callable[[], object]] = {}
        self._is_beating = False
        self._processes: dict[Actor, WorkerProcess] = {}
        self._sweeps_left = scene.sweeps
        self._workers = [self.stage.enter(f"w{n}") for n in range(scene.workers)]
        self._person, self._sweeper = self.stage.enter("person"), self.stage.enter("sweep")
        self._people = Person(self)

    def clock(self) -> float:
        """Return the time."""
        return self.now

    # ---- What actors do

    def meet(self, what: str) -> str:
        """Let the actor that runs stand before an effect; return what becomes of that."""
        actor = HERE.actor
        if actor is None or self._is_beating:
            return ""
        fate = actor.stop(what)
        self.trace.append(f"{actor}: {what}{' ' + fate.upper() if fate else ''}")
        return fate

    def step(self, piece: int) -> None:
        """Let a piece be computed."""
        actor = HERE.actor
        assert actor is not None
        self.trace.append(f"{actor}: piece {piece}")
        self.pass_time(STEP_SECONDS)
        self.ledger.stepped(actor, piece)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in which the hearts of those who are awake beat."""
        runs, self._is_beating = HERE.actor, True
        end = self.now + seconds
        while self.now < end and not self.ledger.complaint:
            self.now += min(1.0, end - self.now)
            for actor, beat in list(self._beats.items()):
                if self._frozen.get(actor, 0.0) > self.now:
                    continue
                HERE.actor = actor
                try:
                    beat()
                except Exception:  # noqa: BLE001 - as the heart's own thread does
                    self._beats.pop(actor, None)
        HERE.actor, self._is_beating = runs, False

    def sleep(self, seconds: float) -> None:
        """Let an actor wait."""
        if seconds >= LEAST_WAIT_SECONDS:
            self.meet("wait")
        self.pass_time(seconds)

    @contextmanager
    def repeat(self, act: Callable[[], object]) -> Iterator[None]:
        """Let a worker's heart beat for as long as the block lasts."""
        actor = HERE.actor
        assert actor is not None
        self._beats[actor] = act
        try:
            yield
        finally:
            self._beats.pop(actor, None)

    def jobs(self) -> JobStore:
        """Return the store as another process has it."""
        return JobStore(self.shelf, clock=self.clock)

    def _process(self, actor: Actor) -> WorkerProcess:
        if actor not in self._processes:
            kernel = (Tailed if self.scene.has_tail else Dividing)(self.step)
            self._processes[actor] = WorkerProcess(
                jobs=self.jobs(),
                queue=self.mailbox,
                worker=actor.name,
                timing=Timing(checkpoint_seconds=1.0),
                kernels=lambda _: kernel,
                clock=self.clock,
                sleep=self.sleep,
                repeat=self.repeat,
                observe=nullcontext,
            )
        return self._processes[actor]

    def _work(self, actor: Actor, delivery: Delivery, slice_seconds: float | None) -> None:
        process = self._process(actor)
        try:
            if deliver(process, delivery, slice_seconds=slice_seconds).ack:
                self.mailbox.ack(delivery)
        except (StoreUnavailable, QueueUnavailable):
            pass
        except BrokenWorker:
            del self._processes[actor]  # Another one is started.
        except Exception as error:  # noqa: BLE001 - it would end a real worker
            self.trace.append(traceback.format_exc())
            self.ledger.require(condition=False, complaint=f"out of a delivery came {error!r}")

    def _crashed(self, actor: Actor) -> None:
        self._processes.pop(actor, None)
        self._beats.pop(actor, None)

    # ---- What may happen

    def run(self) -> None:
        """Let everything happen that the policy wants, then all that is left to do."""
        logging.disable(logging.CRITICAL)
        with (
            unlocked(ClaimedJob, ClaimedPart, adding_up.AddingUp, Survey),
            patch.multiple(fleet, GROUP_BITS=BITS, GROUP=1 << BITS),
            patch.object(adding_up, "CHILDREN_AT_ONCE", self.scene.children_at_once),
            patch.object(call, "lengths_of", lambda _, plan, *__: self._lengths_of(plan.steps)),
        ):
            try:
                self._people.submit(self.scene.lengths)
                while not self.ledger.complaint and self._happens():
                    pass
                if not self.ledger.complaint:
                    self._end()
            finally:
                self.stage.close()
                logging.disable(logging.NOTSET)

    def steps_of(self, lengths: tuple[int, ...]) -> int:
        """Return how many steps a job has that is cut into such parts."""
        return sum(lengths) + TAIL * self.scene.has_tail

    def _lengths_of(self, steps: int) -> tuple[int, ...]:
        return self.scene.lengths if steps == sum(self.scene.lengths) else self.scene.second

    def _happens(self) -> bool:
        """Let one thing happen; return whether there was any left."""
        moves = self._moves()
        if not moves:
            return self._wait() or self._is_called_for()
        self._do(self._policy.choose(self, moves, self._possible_faults()))
        if self.stage.failure is not None:
            raise self.stage.failure
        self.ledger.require(len(self.trace) < MOST_MOVES, "there is no end")
        return True

    def _is_awake(self, actor: Actor) -> bool:
        return self._frozen.get(actor, 0.0) <= self.now

    @property
    def busy(self) -> list[Actor]:
        """Those who can go on, the one that went last first."""
        actors = [*self._workers, self._person, self._sweeper]
        awake = [actor for actor in actors if actor.is_busy and self._is_awake(actor)]
        return sorted(awake, key=lambda actor: actor is not self.last)

    def _moves(self) -> list[Move]:
        moves = [Move("go", actor) for actor in self.busy]
        idle = next((w for w in self._workers if not w.is_busy), None)
        if idle is not None:
            letters = {letter.body: letter for letter in self.mailbox.visible}
            moves += [Move("take", idle, letter) for letter in letters.values()]
        if not self._person.is_busy and self._people.next_act:
            moves.append(Move("person", self._person))
        if not self._sweeper.is_busy and self._sweeps_left:
            moves.append(Move("sweep", self._sweeper))
        return moves

    def _possible_faults(self) -> list[Move]:
        found = []
        for kind in FAULTS:
            if self._budget[kind] > 0:
                found += self._ways_of(kind)
        return found

    def _ways_of(self, kind: str) -> list[Move]:
        """Return where and when a fault of this kind may happen."""
        workers = [actor for actor in self.busy if actor in self._workers]
        match kind:
            case "crash":
                return [Move(kind, actor) for actor in workers]
            case "freeze":
                return [Move(kind, a, number=s) for a in workers for s in FREEZES_SECONDS]
            case "slow":
                return [Move(kind)] * bool(workers)
            case "refused" | "unanswered":
                return [Move(kind, actor) for actor in self.busy if _can_fail(actor, kind)]
            case "duplicate" | "lost message":
                return [Move(kind, letter=letter) for letter in self.mailbox.letters]
        moments = range(self._people.submitted_at, len(self.shelf.log))
        if self._people.has_deleted:
            moments = range(0)
        return [Move(kind, number=moment) for moment in moments]

    def _do(self, move: Move) -> None:
        actor, kind = move.actor, move.kind
        if kind not in {"go", "take", "person", "sweep"}:
            self._budget[kind] -= 1
            self.faults[kind] += 1
            self.trace.append(f"{kind.upper()} {actor or ''} {move.number or ''}")
            self._go_wrong(move)
            return
        assert actor is not None
        self.last = actor
        if kind == "go":
            actor.go()
        elif kind == "take":
            assert move.letter is not None
            delivery = self.mailbox.take(move.letter)
            self.received[delivery.receipt] = move.letter
            self.trace.append(f"{actor}: receives {delivery.body}")
            actor.begin(partial(self._work, actor, delivery, self._slice_seconds))
        elif kind == "person":
            self.trace.append(f"person: {self._people.next_act}")
            actor.begin(self._people.act)
        else:
            self._sweeps_left -= 1
            self.sweep_began = len(self.trace)
            actor.begin(self._people.sweep)

    @property
    def _slice_seconds(self) -> float | None:
        return STEP_SECONDS if self.scene.slices else None

    def _go_wrong(self, move: Move) -> None:
        actor, kind = move.actor, move.kind
        if actor is not None and actor in self.tokens:
            self.ledger.excused.add(self.tokens[actor])
        if kind in {"crash", "refused", "unanswered"}:
            assert actor is not None
            actor.go(kind)
        elif kind == "freeze":
            assert actor is not None
            self._frozen[actor] = self.now + move.number
        elif kind == "slow":
            self.ledger.excused |= set(self.tokens.values())
            self.pass_time(SLOW_SECONDS)
        elif kind == "duplicate":
            assert move.letter is not None
            self.mailbox.double(move.letter)
        elif kind == "lost message":
            assert move.letter is not None
            self.mailbox.letters.remove(move.letter)
        else:
            self.shelf.go_back(int(move.number), f"jobs/{JOB}" if kind == "lost job" else "")
            self.ledger.forgot()

    def _wait(self) -> bool:
        """Let time pass until someone can go on; return whether there is anyone."""
        times = [time for actor, time in self._frozen.items() if actor.is_busy]
        times += [letter.visible_at for letter in self.mailbox.letters]
        later = [time for time in times if time > self.now]
        if later:
            self.pass_time(min(later) - self.now)
        return bool(later)

    # ---- When all is quiet

    def _is_called_for(self) -> bool:
        """Do what is left to do for the job; return whether there was anything."""
        job = self.ledger.job
        if job is None or f"jobs/{JOB}" not in self.shelf.values:
            return False
        if job.status in {Status.SUCCEEDED, Status.CANCELLED}:
            return False
        if job.status is Status.PAUSED:
            return self._people.will("resume")
        if job.status is Status.FAILED:
            self.retries += 1
            self.ledger.require(self.retries <= MOST_RETRIES, f"it fails for ever: {job.error}")
            return self._people.will("retry")
        self.swept += 1
        may_need_it = any(self.faults[kind] for kind in LOSSES)
        self.ledger.require(may_need_it, f"the job sleeps for ever: {job.fleet}")
        self.ledger.require(self.swept <= MOST_SWEEPS, "no sweep wakes the job")
        self.now += PATIENCE_SECONDS
        self._sweeps_left += 1
        return True

    def _end(self) -> None:
        self.ledger.judge_end()
        left = [key for key in self.shelf.values if key.startswith("parts/")]
        self.ledger.judge_rubbish(left)
        self.ledger.figures["rubbish"] += bool(left)
        clear_parts(self.jobs())
        left = [key for key in self.shelf.values if key.startswith("parts/")]
        self.ledger.require(not left, f"this is never removed: {left}")
        self.ledger.require(not self.mailbox.letters, f"left: {self.mailbox.letters}")


def _can_fail(actor: Actor, kind: str) -> bool:
    operation = actor.at.partition(" ")[0]
    return operation in WRITES or (kind == "refused" and operation in {"read", "list"})
