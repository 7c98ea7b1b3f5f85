"""One job and its workers, from the first message to the end."""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

from bench.fleet.cloud import JOB, REDIS, S3, Cloud
from bench.fleet.work import PIECE_SECONDS, Work
from bench.fleet.worker import EPOCH, LambdaWorker, Worker, polls_after
from outlast.checkpoint.codec import encode
from outlast.checkpoint.fleet import Fleet
from outlast.checkpoint.record import Record
from outlast.worker.costs.prices import read_prices
from outlast.worker.queues.message import Message
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.fleet.adding_up import AddingUp
from outlast.worker.slices.fleet.claimed_part import ClaimedPart
from tests.unlocked import unlocked

SERVICES = {"S3": S3, "Redis": REDIS}
SEED = 1
# Thousands of threads, none of which goes deep.
STACK_BYTES = 512 << 10
LOOK_SECONDS = 60.0
QUEUE = ("send", "receive", "ack", "hide")
# What DELETE costs, and what the table does not have: nothing.
PRICES = {"GET": "read", "PUT": "write", "LIST": "write"}


class Scene(NamedTuple):
    """What is simulated.

    Attributes:
        workers: how many; the job is meant for that number.
        hours: how long the job takes a worker of ordinary speed.
        store: S3 or Redis; the queue is always SQS.
        on_lambda: whether the workers are Lambda's, and come one after another.
    """

    workers: int
    hours: float
    store: str
    on_lambda: bool


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        parts: how many the job had.
        efficiency: the work over what all workers could have done in the time to the end.
        calling_seconds: how long it took to send the first messages of parts.
        twice: how many messages were sent again, as a share of the parts.
        again: how many were delivered again, as a share of the parts.
        requests: how many of each kind there were for a part.
        dollars: what those of one part cost.
    """

    parts: int
    efficiency: float
    calling_seconds: float
    twice: float
    again: float
    requests: dict[str, float]
    dollars: float


def simulate(scene: Scene) -> Outcome:
    """Play the scene in this process, which does nothing else.

    Raises:
        AssertionError: the job has come to a wrong end.
    """
    logging.disable()
    threading.stack_size(STACK_BYTES)
    cloud = Cloud(SERVICES[scene.store], SEED)
    pieces = round(scene.hours * 3600 / PIECE_SECONDS)
    with unlocked(ClaimedJob, ClaimedPart, AddingUp):
        _submit(cloud, pieces, scene.workers)
        kind = LambdaWorker if scene.on_lambda else Worker
        workers = [kind(cloud) for _ in range(scene.workers)]
        for number, worker in enumerate(workers):
            after = polls_after(number) if scene.on_lambda else 0.0
            cloud.clockwork.start(f"w{number}", worker.live, after=after)
        while not cloud.is_over:
            cloud.clockwork.run(LOOK_SECONDS)
        cloud.clockwork.close()
    result = cloud.record.result
    assert result == {"first": 0, "last": pieces}, result
    return _outcome(cloud, scene, sum(worker.speed for worker in workers))


def _submit(cloud: Cloud, pieces: int, workers: int) -> None:
    record = Record(
        job_id=JOB,
        kernel=Work.name,
        params={"pieces": pieces},
        created_at=EPOCH,
        updated_at=EPOCH,
        fleet=Fleet.of(workers),
    )
    cloud.store.put(f"jobs/{JOB}", encode(record), expected=None)
    cloud.put_message(Message(job_id=JOB, slice=1).body())


def _outcome(cloud: Cloud, scene: Scene, speed: float) -> Outcome:
    sent = {body: times for body, times in cloud.sent.items() if Message.parse(body).node}
    parts, received = cloud.parts, sum(cloud.received[body] for body in sent)
    requests = {kind: times / parts for kind, times in cloud.requests.items()}
    if scene.on_lambda:
        requests["invocation"] = received / parts
    return Outcome(
        parts=parts,
        efficiency=scene.hours * 3600 / (speed * cloud.over_at),
        calling_seconds=cloud.called_at - cloud.cut_at,
        twice=sum(sent.values()) / parts - 1,
        again=(received - sum(sent.values())) / parts,
        requests=requests,
        dollars=sum(times * _price(kind, scene) for kind, times in requests.items()),
    )


def _price(kind: str, scene: Scene) -> float:
    """Return what a request costs in dollars."""
    million, store = read_prices(None).million, SERVICES[scene.store].name
    if kind in QUEUE:
        return million["sqs"] / 1e6
    if kind == "invocation":
        return million["lambda"] / 1e6
    return million.get(f"{store}.{PRICES.get(kind)}", 0.0) / 1e6
