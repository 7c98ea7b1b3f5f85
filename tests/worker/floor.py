"""One job, one store, one queue and any number of workers, all on a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.jobs import JobStore
from outlast.checkpoint.parts import Limits
from outlast.checkpoint.record import Record
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import Handled, deliver
from outlast.worker.slices.process import WorkerProcess
from outlast.worker.slices.timing import Timing
from tests.fakes import FakeClock, MemoryRegister
from tests.kernels import Counting

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.process import AnyKernel

JOB = "job-1"
STEPS = 30


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
        self.queue = MemoryQueue(clock=self.clock, sleep=self.clock.sleep)
        self.step_seconds = step_seconds
        self.watched: Callable[[int], None] = lambda _: None
        self.kernel: AnyKernel = Counting(self.step)

    def step(self, number: int) -> None:
        """Let a step take its time."""
        self.clock.sleep(self.step_seconds)
        self.watched(number)

    def process(self, worker: str = "w", *, kernel: AnyKernel | None = None) -> WorkerProcess:
        """A worker of its own, as another process would be; it saves every second."""
        return WorkerProcess(
            jobs=JobStore(self.register, clock=self.clock),
            queue=self.queue,
            worker=worker,
            timing=Timing(checkpoint_seconds=1.0),
            max_state_bytes=10_000,
            kernels=lambda _: kernel or self.kernel,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def submit(self, *, send: bool = True, steps: int = STEPS, **limits: float | None) -> Record:
        """Store the job, and send its first message."""
        record = Record(
            job_id=JOB,
            kernel="counting",
            params={"steps": steps},
            limits=Limits.model_validate(limits),
            created_at=self.clock(),
            updated_at=self.clock(),
        )
        held, _ = self.jobs.submit(record)
        if send:
            self.queue.send(Message(job_id=JOB, slice=1))
        return held.record

    @property
    def record(self) -> Record:
        """The job as it is stored."""
        return self.jobs.load(JOB).record

    def change(self, move: Callable[[Record], Record]) -> Record:
        """Change the job as a person or another worker would."""
        return self.jobs.change(JOB, move).record

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

    def messages(self) -> list[str]:
        """The bodies of all messages, once whatever hides them is over; they are taken out."""
        self.clock.sleep(24 * 3600)
        found = []
        while delivery := self.queue.receive(visibility_seconds=60, wait_seconds=0):
            found.append(delivery.body)
            self.queue.ack(delivery)
        return found
