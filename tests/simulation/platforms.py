"""What runs workers, each by its real entry point: a plain worker, AWS Lambda, RunPod."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from outlast.worker.jobs.client import Client
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.invocations import Handler
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.runpod_handler import CALLER_ERRORS
from outlast.worker.runpod_handler import Handler as RunPodHandler
from tests.simulation.message_queue import LONGEST_IDLE_SECONDS, SimulatedQueue
from tests.simulation.place import SimulatedBlobs
from tests.simulation.store import jobs_of
from tests.simulation.timing import SWEEP_SECONDS
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.worker_process import WorkerProcess
    from tests.simulation.process import Process
    from tests.simulation.workers import Machine
    from tests.simulation.world import World

# How often a platform does not call a process again, and how often someone calls it with a job.
RECYCLED_SHARE = 0.05
CALLED_SHARE = 0.1
POLLER_SECONDS = 1.0
CALL_EVERY_SECONDS = (0.0, 30.0)
MOST_IN_A_BATCH = 3


class SimulatedClient(Client):
    """The client of one process, with the simulated store and queue."""

    def __init__(self, world: World, process: Process) -> None:
        self.settings = world.settings
        self.jobs = jobs_of(world, process)
        self.blobs = world.place and SimulatedBlobs(world, process, world.place)
        self._simulated = SimulatedQueue(world, process)

    @property
    def queue(self) -> SimulatedQueue:
        """The queue."""
        return self._simulated


class Platform:
    """Calls one process until it is given up.

    Attributes:
        name: for the trace.
    """

    name: str

    def __init__(
        self, machine: Machine, process: Process, worker: WorkerProcess, client: Client
    ) -> None:
        self._machine = machine
        self._process = process
        self._worker = worker
        self._client = client
        self._world = process.world
        self._swept_at = process.clock()

    def run(self) -> None:
        """Call it again and again."""
        while not self._machine.is_leaving:
            rng = self._process.rng
            if self._world.sweeps and self._process.clock() - self._swept_at >= SWEEP_SECONDS:
                self._swept_at = self._process.clock()
                self.call({"sweep": True})
            if not self._world.is_quiet and rng.random() < CALLED_SHARE:
                self.call({"job_id": rng.choice(list(self._world.jobs))})
            self.work()
            if rng.random() < RECYCLED_SHARE:
                return

    def call(self, request: dict[str, Any]) -> None:
        """Call the process directly."""
        raise NotImplementedError

    def work(self) -> None:
        """Let it do what the queue has for it."""
        raise NotImplementedError


class PlainWorker(Platform):
    """`outlast worker`."""

    name = "worker"

    def run(self) -> None:
        """Work until there is a reason to stop."""
        world, machine = self._world, self._machine
        self._process.slice_seconds = world.slice_seconds
        self._process.is_plain = True
        consumer = Consumer(
            self._worker,
            slice_seconds=world.slice_seconds,
            sweep_seconds=SWEEP_SECONDS if world.sweeps else None,
        )
        consumer.run(done=lambda: machine.is_leaving, outer=machine.stop)


class Function(Platform):
    """A function on AWS Lambda, with an event source and callers. It is killed at its time-out."""

    name = "lambda"

    def run(self) -> None:
        """Call the handler."""
        self._handler = Handler(self._client, self._worker)
        super().run()

    def call(self, request: dict[str, Any]) -> None:
        """Invoke the function; an error is the caller's to see."""
        try:
            self._invoke(request)
        except CALLER_ERRORS as error:
            self._world.note(self._process, "answers {}", error)

    def work(self) -> None:
        """Invoke the function with a batch, and delete what it does not name."""
        batch = self._receive()
        if not batch:
            return
        records = [
            {
                "eventSource": "aws:sqs",
                "messageId": delivery.receipt,
                "receiptHandle": delivery.receipt,
                "body": delivery.body,
            }
            for delivery in batch
        ]
        try:
            failures = self._invoke({"Records": records})["batchItemFailures"]
        except Exception as error:
            raise Violation(f"{self._process} fails a whole batch: {error}") from error
        failed = {failure["itemIdentifier"] for failure in failures}
        for delivery in batch:
            if delivery.receipt not in failed:
                self._delete(delivery)

    def _receive(self) -> list[Delivery]:
        size = self._process.rng.randint(1, MOST_IN_A_BATCH)
        batch: list[Delivery] = []
        try:
            while len(batch) < size:
                delivery = self._client.queue.receive(
                    visibility_seconds=self._world.visibility_seconds,
                    wait_seconds=0.0 if batch else LONGEST_IDLE_SECONDS,
                )
                if delivery is None:
                    break
                batch.append(delivery)
        except QueueUnavailable:
            self._process.sleep(POLLER_SECONDS)
        return batch

    def _invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        process.killed_at = process.clock() + self._world.timeout_seconds
        process.is_excused = False
        context = SimpleNamespace(
            aws_request_id=f"{process}-{process.clock()}",
            get_remaining_time_in_millis=lambda: int(1000 * (process.killed_at - process.clock())),
        )
        try:
            return self._handler.handle(event, context)
        finally:
            process.die_if_due()
            process.killed_at = None

    def _delete(self, delivery: Delivery) -> None:
        try:
            self._client.queue.ack(delivery)
        except QueueUnavailable:
            self._process.sleep(POLLER_SECONDS)


class Endpoint(Platform):
    """An endpoint on RunPod: some program calls it now and then."""

    name = "runpod"

    def run(self) -> None:
        """Call the handler."""
        self._handler = RunPodHandler(self._client, self._worker, lambda *_: None)
        super().run()

    def call(self, request: dict[str, Any]) -> None:
        """Send a request."""
        answer = self._handler.handle({"id": "simulated", "input": request})
        self._world.note(self._process, "answers {}", answer)

    def work(self) -> None:
        """Let it drain the queue for a while."""
        self.call({"drain": True, "max_seconds": self._world.timeout_seconds})
        self._process.sleep(self._process.rng.uniform(*CALL_EVERY_SECONDS))
