"""Parts that come to arrays: read where a group is added up, sent with its record, gone with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.status import Status
from outlast.worker.slices.deliver import deliver
from tests.blobs import MemoryBlobs
from tests.worker.floor import Floor
from tests.worker.parts import receive, submit
from tests.worker.rows import EXPECTED, Rows

if TYPE_CHECKING:
    from outlast.worker.slices.worker_process import WorkerProcess


class Hall(Floor):
    """A floor with a place for arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs = MemoryBlobs(self.clock)
        self.kernel = Rows(self.step)

    def process(self, worker: str = "w", **changes: Any) -> WorkerProcess:  # type: ignore[override]
        """A worker of its own, with this place."""
        return super().process(worker, **{"blobs": self.blobs} | changes)


@pytest.fixture
def hall() -> Hall:
    """A floor on which a job of parts with arrays waits."""
    hall = Hall()
    submit(hall)
    return hall


def work(hall: Hall, process: WorkerProcess | None = None) -> None:
    """Work until no message is left."""
    while delivery := receive(hall):
        if deliver(process or hall.process(), delivery).ack:
            hall.queue.ack(delivery)


def test_a_job_whose_parts_have_arrays(hall: Hall) -> None:
    """A batch would lose the results of its items, or leave them behind for good."""
    work(hall)
    assert hall.record.result == EXPECTED
    assert hall.blobs.chunks == {}


def test_parts_whose_arrays_are_lost_fail_the_job(hall: Hall) -> None:
    """Its messages would become dead letters, and nothing tell a person why it sleeps."""
    process = hall.process()
    while not any(n.endswith("/0/3") for n in hall.register.keys("parts/")):
        delivery = receive(hall)
        if deliver(process, delivery).ack:
            hall.queue.ack(delivery)
    hall.blobs.chunks = dict.fromkeys(hall.blobs.chunks, b"damaged")
    work(hall)
    assert hall.record.status is Status.FAILED
    assert "adding up its parts: DamagedChunk" in (hall.record.error or "")


def test_a_group_that_is_too_large_fails_the_job(hall: Hall) -> None:
    """It would be added up again and again, by one worker after the other."""
    work(hall, hall.process(max_blob_bytes=40))
    assert hall.record.status is Status.FAILED
    assert "OUTLAST_MAX_BLOB_BYTES" in (hall.record.error or "")


def test_a_place_that_is_away_costs_a_wait(hall: Hall) -> None:
    """A job would fail for an outage of a minute, at its last part."""
    is_away = False

    def before(operation: str) -> None:
        if is_away and operation == "read_into":
            raise StoreUnavailable("the bucket does not answer")

    hall.blobs.before = before
    is_away = True
    with pytest.raises(StoreUnavailable):
        work(hall)
    is_away = False
    hall.clock.sleep(120)
    work(hall)
    assert hall.record.result == EXPECTED
