"""How well one job is shared by many workers: the real protocol on simulated time."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack, nullcontext
from functools import cached_property
from unittest.mock import patch

from bench.fleet.cloud import JOB, REDIS, S3, Cloud, Service, CloudQueue, CloudRegister
from bench.fleet.work import PIECE_SECONDS
from bench.fleet.worker import EPOCH, LambdaWorker, Worker, begins_after
from outlast.checkpoint.codec import encode, decode
from outlast.checkpoint.fleet import Fleet
from outlast.checkpoint.record import Record
from outlast.checkpoint.survey import Survey
from outlast.worker.queues.message import Message
from outlast.worker.slices.fleet.adding_up import AddingUp
from outlast.worker.slices.fleet.claimed_part import ClaimedPart
from outlast.worker.slices.claimed_job import ClaimedJob


def simulate(service, workers, hours, lamb, seed=1):
    cloud = Cloud(service, seed)
    record = Record(
        job_id=JOB,
        kernel="work",
        params={"pieces": round(hours * 3600 / PIECE_SECONDS)},
        created_at=EPOCH,
        updated_at=EPOCH,
        fleet=Fleet.of(workers),
    )
    cloud.store.put(f"jobs/{JOB}", encode(record), expected=None)
    cloud.put_message(Message(job_id=JOB, slice=1).body())
    for n in range(workers):
        w = (LambdaWorker if lamb else Worker)(cloud, n)
        cloud.clockwork.start(f"w{n}", w.live, after=begins_after(n) if lamb else 0.0)
    while not cloud.is_over:
        cloud.clockwork.run(60.0)
    cloud.clockwork.close()
    return cloud


if __name__ == "__main__":
    store, workers, hours, lamb = (
        sys.argv[1],
        int(sys.argv[2]),
        float(sys.argv[3]),
        int(sys.argv[4]),
    )
    threading.stack_size(512 * 1024)
    with ExitStack() as stack:
        for prop in (
            vars(ClaimedPart)["stored_params"],
            vars(ClaimedJob)["stored_params"],
            vars(ClaimedJob)["params"],
            vars(AddingUp)["_plan"],
            vars(AddingUp)["_kernel"],
            vars(Survey)["open"],
        ):
            stack.enter_context(patch.object(prop, "lock", nullcontext(), create=True))
        b = time.process_time()
        c = simulate({"s3": S3, "redis": REDIS}[store], workers, hours, lamb)
        cpu = time.process_time() - b
    parts = [x for x in c.sent if "part" in x]
    sends = sum(c.sent[x] for x in parts)
    recs = sum(c.received[x] for x in parts)
    print(
        store,
        workers,
        hours,
        lamb,
        "parts",
        c.parts,
        "eff %.3f" % (hours * 3600 / (workers * c.over_at)),
        "over %.1f" % c.over_at,
        "cut %.2f called %.1f" % (c.cut_at, c.called_at),
        "sent %.3f rec %.3f" % (sends / c.parts, recs / c.parts),
        {k: round(v / c.parts, 2) for k, v in c.requests.items()},
        "cpu %.1f" % cpu,
    )
