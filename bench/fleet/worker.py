"""Simulated workers: real loops, in processes that are killed now and then and begin again."""

from __future__ import annotations

import math
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bench.fleet.cloud import CloudQueue, CloudRegister
from bench.fleet.work import Work, here
from outlast.checkpoint.job_store import JobStore
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.invocations import Handler
from outlast.worker.slices.fleet.last_cut import Cut, LastCut
from outlast.worker.slices.heartbeat import BEAT_SECONDS
from outlast.worker.slices.worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.fleet.cloud import Cloud
    from tests.simulation.clockwork import Actor

EPOCH = 1_800_000_000.0
SLOWEST, FASTEST = 0.85, 1.15
KILLED_A_MINUTE = 0.01
RESTART_SECONDS = 5.0

INVOCATION_SECONDS = 900.0
VISIBILITY_SECONDS = 6 * INVOCATION_SECONDS
POLL_SECONDS = 20.0
COLD_START_SECONDS = 1.0
FIRST_POLLERS = 5
POLLERS_A_SECOND = 300 / 60

KERNEL = Work()


class Killed(BaseException):
    """The end of a process that nobody has told."""


class Worker:
    """One worker after another, each in the place of the one before, which was killed."""

    def __init__(self, cloud: Cloud, number: int) -> None:
        """Begin at this moment, or when the platform has come to this number of workers."""
        self._cloud = cloud
        self._name = f"w{number}"
        self._speed = cloud.rng.uniform(SLOWEST, FASTEST)
        self._beat: Callable[[], object] | None = None
        self._beats_at = self._killed_at = math.inf
        self._actor: Actor

    def live(self, actor: Actor) -> None:
        """Work until the job is over."""
        self._actor, here.worker = actor, self
        while not self._cloud.is_over:
            per_second = -math.log(1 - KILLED_A_MINUTE) / 60
            self._killed_at = actor.now + self._cloud.rng.expovariate(per_second)
            with suppress(Killed):
                self._work(self._process())
                return
            actor.now = max(actor.now, self._killed_at) + self._restart_seconds

    _restart_seconds = RESTART_SECONDS

    def _work(self, process: WorkerProcess) -> None:
        Consumer(process, slice_seconds=None).run(done=lambda: self._cloud.is_over)

    def _process(self) -> WorkerProcess:
        return WorkerProcess(
            jobs=JobStore(CloudRegister(self._cloud, self), clock=lambda: EPOCH + self._actor.now),
            queue=CloudQueue(self._cloud, self),
            worker=self._name,
            last_cut=SharedCut(),
            kernels=lambda _: KERNEL,
            clock=lambda: self._actor.now,
            sleep=self._sleep,
            repeat=self._repeat,
        )

    def _sleep(self, seconds: float) -> None:
        self._actor.now += seconds

    @contextmanager
    def _repeat(self, act: Callable[[], object]) -> Iterator[None]:
        self._beat, self._beats_at = act, self._actor.now + BEAT_SECONDS
        try:
            yield
        finally:
            self._beats_at = math.inf

    def compute(self, seconds: float) -> None:
        """Be busy with what takes a worker of ordinary speed so long, while the heart beats."""
        end = self._actor.now + seconds / self._speed
        while self._beats_at < end:
            self._actor.now = max(self._actor.now, self._beats_at)
            with suppress(Killed):  # A kernel's step would be blamed; the next request raises it.
                self._do_beat()
        self._actor.now = max(self._actor.now, end)

    def _do_beat(self) -> None:
        """Let the heart beat once; another thread would do that."""
        act, self._beats_at = self._beat, math.inf
        assert act is not None
        try:
            act()
        except Exception:  # noqa: BLE001 - it ends the real heartbeat, too
            return
        self._beats_at = self._actor.now + BEAT_SECONDS

    @contextmanager
    def request(self, kind: str, times: int = 1) -> Iterator[None]:
        """Make a request, which takes effect at half of its time."""
        cloud = self._cloud
        if self._actor.now >= self._beats_at:
            self._do_beat()
        seconds = max(cloud.seconds(kind) for _ in range(times))
        self._actor.now += seconds / 2
        self._meet()
        cloud.requests[kind] += times
        yield
        self._actor.now += seconds / 2

    def be_idle(self, until: float) -> None:
        """Wait until then, or until somebody is woken because there is a message."""
        self._actor.now = until
        self._cloud.idle[self._actor] = None
        try:
            self._meet()
        finally:
            self._cloud.idle.pop(self._actor, None)

    def _meet(self) -> None:
        """Let others act until it is this moment for all."""
        if self._actor.now >= self._killed_at:
            raise Killed
        self._cloud.clockwork.wait(self._actor)


class LambdaWorker(Worker):
    """A poller of Lambda's event source mapping, and the sandbox that it invokes."""

    _restart_seconds = COLD_START_SECONDS

    def _work(self, process: WorkerProcess) -> None:
        handler = Handler(None, process)
        self._actor.now += COLD_START_SECONDS
        while not self._cloud.is_over:
            delivery = process.queue.receive(
                visibility_seconds=VISIBILITY_SECONDS, wait_seconds=POLL_SECONDS
            )
            if delivery is None:
                continue
            self._ends_at = self._actor.now + INVOCATION_SECONDS
            record = {
                "eventSource": "aws:sqs",
                "messageId": delivery.receipt,
                "receiptHandle": delivery.receipt,
                "body": delivery.body,
            }
            if not handler.handle({"Records": [record]}, self)["batchItemFailures"]:
                process.queue.ack(delivery)

    aws_request_id = ""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the time-out."""
        return int((self._ends_at - self._actor.now) * 1000)


def begins_after(number: int) -> float:
    """Return after how many seconds Lambda has so many pollers, counted from 0."""
    return max(0, number - FIRST_POLLERS + 1) / POLLERS_A_SECOND


class SharedCut(LastCut):
    """Reads the job once in each process, as that does, but all have one copy of how it is cut."""

    _copy: Cut | None = None

    def __init__(self) -> None:
        super().__init__()
        self._has_read = False

    def of(self, jobs: Any, job_id: str, birth: str) -> Cut:
        """Return how the job is cut."""
        if not self._has_read:
            stored = jobs._stored(job_id)
            self._has_read = True
        if SharedCut._copy is None or SharedCut._copy.birth != birth:
            from outlast.checkpoint.codec import decode

            SharedCut._copy = Cut.of(decode(stored.value))
        return SharedCut._copy
