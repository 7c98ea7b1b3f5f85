"""One job, one store, one queue and any number of workers, all on a fake clock."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import Handled, deliver
from outlast.worker.slices.heartbeat import BEAT_SECONDS
from outlast.worker.slices.timing import Timing
from outlast.worker.slices.worker_process import WorkerProcess
from tests.fakes import FakeClock, HookedQueue, MemoryRegister
from tests.kernels import Counting
from tests.records import lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.worker_process import AnyKernel

JOB = "job-1"
STEPS = 30


class Killed(BaseException):
    """Ends a worker where it stands, as a kill does; nobody catches this but the test."""


def failing(operation: str, error: BaseException) -> Callable[[str], None]:
    """Return a hook for the store or the queue that raises at this operation."""

    def hook(name: str) -> None:
        if name == operation:
            raise error

    return hook


class Floor:
    """What a test of the worker stands on.

    Attributes:
        step_seconds: what a step of the counting kernel takes.
        kernel: what every worker runs.
        watched: called before each step with its number.
    """

    def __init__(self, *, step_seconds: float = 0.5) -> None:
        self.clock = FakeClock()
        self.register = MemoryRegister()
        self.jobs = JobStore(self.register, clock=self.clock)
        self.queue = HookedQueue(clock=self.clock, sleep=self.clock.sleep)
        self.step_seconds = step_seconds
        self.watched: Callable[[int], None] = lambda _: None
        self.kernel: AnyKernel = Counting(self.step)
        self._beats: list[Callable[[], object]] = []

    def step(self, number: int) -> None:
        """Let a step take its time."""
        self.clock.sleep(self.step_seconds)
        self.watched(number)

    @contextmanager
    def repeat(self, act: Callable[[], object]) -> Iterator[None]:
        """Do `act` once a second while the clock of a step or of a compiler is `busy`."""
        self._beats.append(act)
        try:
            yield
        finally:
            self._beats.remove(act)

    def busy(self, seconds: float) -> None:
        """Let time pass in which the process's heart beats."""
        while seconds > 0:
            self.clock.sleep(min(seconds, BEAT_SECONDS))
            seconds -= BEAT_SECONDS
            for beat in list(self._beats):
                beat()

    def at(self, step: int, act: Callable[[], object]) -> None:
        """Let `act` happen within this step."""
        self.watched = lambda number: act() if number == step else None

    def process(
        self, worker: str = "w", *, kernel: AnyKernel | None = None, **changes: Any
    ) -> WorkerProcess:
        """A worker of its own, as another process would be; it saves every second."""
        own = {
            "jobs": JobStore(self.register, clock=self.clock),
            "queue": self.queue,
            "timing": Timing(checkpoint_seconds=1.0),
            "max_state_bytes": 10_000,
            "kernels": lambda _: kernel or self.kernel,
            "clock": self.clock,
            "sleep": self.clock.sleep,
            "repeat": self.repeat,
            "observe": self.repeat,
        }
        return WorkerProcess(worker=worker, **own | changes)

    def submit(
        self, job_id: str = JOB, *, send: bool = True, kernel: str = "counting", **fields: Any
    ) -> Record:
        """Store the job, and send its first message; `fields` are its parameters and limits."""
        limits = {name: fields.pop(name) for name in Limits.model_fields if name in fields}
        now = self.clock()
        record = Record(
            job_id=job_id,
            kernel=kernel,
            params={"steps": STEPS} | fields,
            limits=Limits.model_validate(limits),
            created_at=now,
            updated_at=now,
        )
        held, _ = self.jobs.submit(record)
        if send:
            self.queue.send(Message(job_id=job_id, slice=1))
        return held.record

    @property
    def record(self) -> Record:
        """The job as it is stored."""
        return self.jobs.load(JOB).record

    def change(self, move: Callable[[Record], Record]) -> Record:
        """Change the job as a person or another worker would."""
        return self.jobs.change(JOB, move).record

    def claim(self, *, seconds: float = 600.0, since: float = 0.0) -> Record:
        """Claim the job as another worker, for so many seconds from now, `since` seconds ago."""
        claim = lease(self.clock() - since, seconds=since + seconds, token="other's")
        renewed = claim.model_copy(update={"seconds": seconds})
        return self.change(lambda record: record.claimed(renewed))

    def receive(self) -> Delivery:
        """The next delivery, hidden for less than a lease at first; there must be one."""
        delivery = self.queue.receive(visibility_seconds=4.0, wait_seconds=0.0)
        assert delivery is not None
        return delivery

    def work(
        self, process: WorkerProcess | None = None, *, seconds: float | None = None
    ) -> tuple[Handled, Delivery]:
        """Take the next delivery and do what it asks for; ack it if that is due."""
        delivery = self.receive()
        handled = deliver(process or self.process(), delivery, seconds=seconds)
        if handled.ack:
            self.queue.ack(delivery)
        return handled, delivery

    def run(
        self, kernel: AnyKernel, *, seconds: float | None = None, isolate: bool = False, **job: Any
    ) -> Record:
        """Run the first slice of a job of this kernel, whose message is to be acknowledged."""
        self.kernel = kernel
        self.submit(**job)
        handled, _ = self.work(self.process(isolate=isolate), seconds=seconds)
        assert handled.ack
        return self.record

    def finish(self, *, seconds: float | None = None, pause_seconds: float = 0.0) -> int:
        """Work one delivery after another until the job is over; return how many it took."""
        for deliveries in range(100):
            if self.record.status.is_final:
                return deliveries
            self.clock.sleep(pause_seconds)
            self.work(seconds=seconds)
        raise AssertionError(self.record)

    @contextmanager
    def hooked(self, moment: str, hook: Callable[[str], None]) -> Iterator[None]:
        """Call the hook "before" or "after" each effect on store and queue within the block."""
        fakes = (self.register, self.queue)
        for fake in fakes:
            setattr(fake, moment, hook)
        try:
            yield
        finally:
            for fake in fakes:
                setattr(fake, moment, lambda _: None)

    def hides(self) -> list[float]:
        """Return the list of all seconds for which a message is hidden from here on."""
        hidden: list[float] = []
        self.queue.hide = lambda _, seconds: hidden.append(seconds)  # type: ignore[method-assign]
        return hidden

    def send(self, body: str) -> None:
        """Put a text on the queue, as any program may."""
        self.queue.send(cast("Message", SimpleNamespace(body=lambda: body)))

    def messages(self) -> list[str]:
        """The bodies of all messages, hidden ones too; they are removed."""
        self.clock.sleep(24 * 3600)
        bodies = []
        while delivery := self.queue.receive(visibility_seconds=60, wait_seconds=0):
            bodies.append(delivery.body)
            self.queue.ack(delivery)
        return bodies
