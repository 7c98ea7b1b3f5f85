"""A person who submits the job and changes their mind, and whoever sweeps."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable, UnknownJob, WrongStatus
from outlast.checkpoint.fleet import Fleet
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.new_job import NewJob
from outlast.worker.jobs.submission import submit_job
from outlast.worker.jobs.sweep import sweep
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.settings import Settings
from tests.fleet.scene import JOB

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.queues.contract import Queue
    from tests.fleet.world import World

SWEEP_SECONDS = 5.0
# So long that a job which was swept in vain is swept again.
PATIENCE_SECONDS = 100_000.0


class WorldsClient(Client):
    """The client of a person in the world."""

    def __init__(self, world: World) -> None:
        self.settings = Settings()
        self.jobs = world.jobs()
        self.blobs = None
        self._mailbox = world.mailbox

    @property
    def queue(self) -> Queue:
        """The queue."""
        return self._mailbox


class Person:
    """The person.

    Attributes:
        has_deleted: whether the job was ever deleted.
        submitted_at: how many writes there had been once the job was stored.
    """

    def __init__(self, world: World) -> None:
        self.has_deleted = False
        self.submitted_at = 0
        self._world = world
        self._script = list(world.scene.script)
        self._client = WorldsClient(world)

    @property
    def next_act(self) -> str:
        """What they do next; "": nothing."""
        return self._script[0] if self._script else ""

    def will(self, what: str) -> bool:
        """Let them do something besides; return True."""
        self._script.append(what)
        return True

    def submit(self, lengths: tuple[int, ...]) -> None:
        """Submit the job."""
        scene, now = self._world.scene, self._world.now
        fleet = Fleet.of(1).model_copy(update={"window": scene.window})
        record = Record(
            job_id=JOB,
            kernel="dividing",
            params={"steps": self._world.steps_of(lengths)},
            limits=Limits(max_compute_seconds=scene.ceiling),
            created_at=now,
            updated_at=now,
            fleet=fleet,
        )
        self._patiently(lambda: submit_job(self._client.jobs, self._client.queue, NewJob(record)))
        self.submitted_at = len(self._world.shelf.log)

    def act(self) -> None:
        """Do what is next."""
        what = self._script.pop(0)
        self._world.ledger.figures[what] += 1
        with suppress(WrongStatus, UnknownJob):  # So be it.
            self._patiently(lambda: self._do(what))

    def _do(self, what: str) -> None:
        client, figures = self._client, self._world.ledger.figures
        match what:
            case "pause":
                client.pause(JOB)
            case "resume":
                client.resume(JOB)
            case "free":
                figures["stopped"] += 1
                client.resume(JOB, free=True)
            case "cancel":
                figures["stopped"] += 1
                client.cancel(JOB)
            case "retry":
                client.retry(JOB, max_compute_seconds=1e6)
            case "delete":
                self.has_deleted = True
                figures["stopped"] += 1
                client.delete(JOB, force=True)
            case "submit":
                self.submit(self._world.scene.second)

    def sweep(self) -> None:
        """Wake the job if it has lost its message."""
        with suppress(StoreUnavailable, QueueUnavailable):  # Another sweep follows.
            sweep(self._client.jobs, self._client.queue, after_seconds=SWEEP_SECONDS)

    def _patiently(self, act: Callable[[], object]) -> None:
        """Do it until the store and the queue answer."""
        while True:
            try:
                act()
            except (StoreUnavailable, QueueUnavailable):
                continue
            return
