"""Workers: real entry points, in processes that die and are started again."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.worker.notify.errors import Gone, NotDelivered
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.brevity import Brevity
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.timing import Timing
from outlast.worker.slices.worker_process import WorkerProcess
from tests.kernels import Counting, NewerCounting, stalling
from tests.simulation.clockwork import Crash
from tests.simulation.painting import NewerPainting, Painting
from tests.simulation.platforms import Endpoint, Function, PlainWorker, SimulatedClient
from tests.simulation.process import FREEZE_SECONDS, Process

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.notify.notice import Notice
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.worker_process import AnyKernel
    from tests.simulation.clockwork import Actor
    from tests.simulation.ledger import Job
    from tests.simulation.world import World

STEP_SECONDS = (0.02, 0.4)
# Now and then a step is slow.
SLOW_STEP_SECONDS = (1.0, 8.0)
SLOW_SHARE = 0.01
POISONED_STEP = 3
BRIEF_SHARE = 0.7
DOWN_SECONDS = (0.5, 60.0)
COMPILING_SECONDS = (1.0, 100.0)


class StopSignal(Deadline):
    """Says that a stop signal came once `name` is set, as no thread but the main one gets any."""

    name: str | None = None

    @property
    def reason(self) -> str | None:
        """The signal's name."""
        return self.name


class GuessedBrevity(Brevity):
    """Takes slices for brief at random, which they need not be."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def is_brief(self, kernel: str) -> bool:
        """Guess, of any job without arrays: others of its kernel may have been brief."""
        world = self._process.world
        if not world.claims_wait or world.jobs[kernel].paint is not None:
            return False
        return world.brief_rng.random() < BRIEF_SHARE

    def may_wait(self, before: Record, claimed: Record, delivery: Delivery) -> bool:
        """Let a claim wait, which takes the job all the same, as far as this worker knows."""
        waits = super().may_wait(before, claimed, delivery)
        if waits and claimed.lease is not None:
            process = self._process
            process.took(process.world.jobs[claimed.job_id], claimed.lease.token)
        return waits


class Machine:
    """Runs one worker process after another, all on one platform.

    Attributes:
        is_leaving: the running process is to end after what it does. stop: it is to stop at once.
    """

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._platform = world.rng.choices((PlainWorker, Function, Endpoint), (2, 1, 1))[0]
        self._name = f"{self._platform.name}-{number}"
        self._lives = 0
        self._process: Process | None = None
        self.is_leaving = False
        self.stop = StopSignal()

    def start(self, *, after: float = 0.0) -> None:
        """Begin another process."""
        self._lives += 1
        self._world.clockwork.start(f"{self._name}.{self._lives}", self._live, after=after)

    def upgrade(self) -> None:
        """Ask the running process to end; the next one has the newer kernel."""
        if self._world.rng.random() < 0.5 or self._platform is not PlainWorker:
            self.is_leaving = True
        else:
            self.stop.name = "SIGTERM"
            if self._process is not None:
                self._process.slice_seconds = None
                self._process.is_stopping = True

    def _live(self, actor: Actor) -> None:
        world = self._world
        self.is_leaving, self.stop = False, StopSignal()
        process = self._process = Process(world, actor)
        client = SimulatedClient(world, process)
        worker = WorkerProcess(
            jobs=client.jobs,
            queue=client.queue,
            blobs=client.blobs,
            worker=process.name,
            brevity=GuessedBrevity(process),
            timing=Timing(checkpoint_seconds=world.checkpoint_seconds),
            kernels=partial(self._kernel, process, world.version),
            clock=process.clock,
            notify=partial(self._notify, process),
            sleep=process.sleep,
            repeat=process.repeat,
            observe=nullcontext,
        )
        world.note(process, f"starts, with version {world.version} of the kernel")
        down = 1.0
        try:
            self._platform(self, process, worker, client).run()
            world.rules.idle(process)
        except (Crash, QueueUnavailable):  # The queue may be away at a worker's first contact.
            if world.clockwork.is_over:
                raise
            down = 1.0 if world.is_quiet else process.rng.uniform(*DOWN_SECONDS)
        self.start(after=down)

    def _kernel(self, process: Process, version: int, job_id: str) -> AnyKernel:
        """Return the job's kernel: in the simulation each job has one of its own."""
        job = self._world.jobs[job_id]
        fault = self._world.faults.draw("load", process.name, process.rng)
        if fault == "crash" or job.kind == "deadly":
            process.crash("while a kernel is loaded")
        if fault in {"slow", "unknown"}:
            process.prepare(job, process.rng.uniform(*COMPILING_SECONDS))
        process.loaded.add(job_id)
        if fault == "unknown":
            raise UnknownKernel(job_id)
        step = partial(self._step, process, job)
        if job.kind == "stalling":
            return stalling(step)
        if job.paint is not None:
            return Painting(step) if version == 1 else NewerPainting(step)
        return Counting(step) if version == 1 else NewerCounting(step)

    def _notify(self, process: Process, target: str, event: Notice, _seconds: float) -> None:
        """Tell a target, which may not answer, or answer and not be heard."""
        with process.effect("notify", NotDelivered) as fault:
            if fault == "gone":
                self._world.jobs[event.job_id].gone.add(target)
                raise Gone("simulated")
            self._world.rules.notified(process, target, event)

    def _step(self, process: Process, job: Job, number: int) -> None:
        """Take the time of a step, and fail as a step may."""
        world = self._world
        rng = process.rng
        fault = world.faults.draw("step", process.name, rng)
        seconds = rng.uniform(*(SLOW_STEP_SECONDS if rng.random() < SLOW_SHARE else STEP_SECONDS))
        frozen = rng.uniform(*FREEZE_SECONDS) if fault == "freeze" else 0.0
        began, own_seconds = process.clock(), seconds + frozen
        process.computed(own_seconds, frozen=frozen)
        process.meet_threads()
        seconds = process.clock() - began
        # Judged later: here it would be the kernel that raises.
        if job.record is None or job.record.status in {Status.CANCELLED, Status.PAUSED}:
            # A write of the heart meanwhile, which is slow in some worlds, is no work.
            process.unwanted_seconds += own_seconds
        job.kernel_seconds += seconds
        if fault == "crash":
            process.is_doomed = True
        if fault == "raise" or (job.kind == "poison" and number == POISONED_STEP):
            job.raised += 1
            process.raised.add(job.job_id)
            raise ValueError("simulated")
