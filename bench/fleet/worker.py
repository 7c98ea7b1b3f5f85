"""Simulated workers: real loops, in processes that are killed now and then and begin again."""

from __future__ import annotations

import math
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast

from bench.fleet.cloud import CloudQueue, CloudRegister
from bench.fleet.work import Work, here
from outlast.checkpoint.job_store import JobStore
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.invocations import Handler
from outlast.worker.slices.fleet.last_cut import Cut, LastCut
from outlast.worker.slices.heartbeat import BEAT_SECONDS
from outlast.worker.slices.platforms import LOCAL
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
    """A place for worker processes, each of which follows one that was killed.

    It consumes as `outlast worker` does, on a machine of its own that is somewhat faster or slower
    than others.

    Attributes:
        speed: 1 is that of an ordinary one.
    """

    restart_seconds = RESTART_SECONDS
    platform = LOCAL

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.speed = cloud.rng.uniform(SLOWEST, FASTEST)
        self._beat: Callable[[], object] | None = None
        self._beats_at = self._killed_at = math.inf
        self._actor: Actor

    def live(self, actor: Actor) -> None:
        """Work until the job is over; `actor` is the thread."""
        self._actor, here.worker = actor, self
        while not self._cloud.is_over:
            a_second = -math.log(1 - KILLED_A_MINUTE) / 60
            self._killed_at = actor.now + self._cloud.rng.expovariate(a_second)
            with suppress(Killed):
                self._work(self._process())
            actor.now = min(actor.now, self._killed_at) + self.restart_seconds

    def _work(self, process: WorkerProcess) -> None:
        Consumer(process, slice_seconds=None).run(done=lambda: self._cloud.is_over)

    def _process(self) -> WorkerProcess:
        return WorkerProcess(
            jobs=JobStore(CloudRegister(self._cloud, self), clock=lambda: EPOCH + self._actor.now),
            queue=CloudQueue(self._cloud, self),
            worker="simulated",
            platform=self.platform,
            last_cut=SharedCut(),
            kernels=lambda _: KERNEL,
            clock=lambda: self._actor.now,
            sleep=self._sleep,
            repeat=self._repeat,
            observe=nullcontext,
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
        end = self._actor.now + seconds / self.speed
        while self._beats_at < end:
            self._actor.now = max(self._actor.now, self._beats_at)
            with suppress(Killed):  # A kernel's step would be blamed; the next request raises it.
                self._do_beat()
        self._actor.now = max(self._actor.now, end)

    def _do_beat(self) -> None:
        """Let the heart beat once; another thread would do that."""
        act, self._beats_at = self._beat, math.inf
        if act is None:
            return
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

    restart_seconds = COLD_START_SECONDS
    platform = "lambda/arm64/1769"
    aws_request_id = ""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._ends_at = 0.0

    def _work(self, process: WorkerProcess) -> None:
        handler = Handler(cast("Any", None), process)  # no direct call comes
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

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the time-out."""
        return int((self._ends_at - self._actor.now) * 1000)


def polls_after(number: int) -> float:
    """Return after how many seconds Lambda has the poller of this number, counted from 0."""
    return max(0, number - FIRST_POLLERS + 1) / POLLERS_A_SECOND


class SharedCut(LastCut):
    """Reads how the job is cut in each process, as that does, but keeps one copy for all of them.

    A thousand copies would fill the memory.
    """

    def of(self, jobs: JobStore, job_id: str, birth: str) -> Cut:
        """Return how the job is cut; see `LastCut`."""
        cut = _cuts.setdefault(birth, super().of(jobs, job_id, birth))
        self._cut = job_id, cut
        return cut


_cuts: dict[str, Cut] = {}
