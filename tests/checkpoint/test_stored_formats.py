"""Records as they were stored by each format there has been: what was begun must go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.codec import MAGIC, decode, decode_head, decode_stateless, encode
from outlast.checkpoint.errors import CorruptRecord, NewerRecord
from outlast.checkpoint.fleet import Fleet, Node
from outlast.checkpoint.history import Stretch
from outlast.checkpoint.last_lines import line_of
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import (
    Dropped,
    Guards,
    Lease,
    Limits,
    Notices,
    PlatformUsage,
    Revision,
    Usage,
)
from outlast.checkpoint.status import Status
from tests.records import NEWER_MAGIC, RecordBytes, changed, checkpoint

STORED = Path(__file__).with_name("stored")
BEFORE_RELEASE = {"1"}
FILES = {path.name.removeprefix("format-"): path for path in STORED.iterdir()}
READABLE = sorted(set(FILES) - BEFORE_RELEASE)

LEASE = Lease(
    worker="host:7",
    platform="lambda/arm64/1769",
    token="t1",
    claimed_at=400.0,
    expires_at=430.0,
    at_risk_seconds=2.5,
)
ENDED = Stretch(
    first=1,
    slices=1,
    platform="local",
    worker="laptop:1",
    began_at=100.0,
    ended_at=160.0,
    seconds=60.0,
    progress=0.125,
    ending="deadline",
)
JOB = Record(
    job_id="kept",
    kernel="counting",
    params={"steps": 30, "name": "π"},
    tags=("nightly",),
    limits=Limits(max_slices=None, max_compute_seconds=7200.0),
    created_at=90.0,
    updated_at=410.0,
    status=Status.RUNNING,
    slice_number=2,
    announced=True,
    not_before=300.0,
    lease=LEASE,
    checkpoints=(checkpoint(b'{"at":9,"total":4}' * 100), checkpoint(b'{"at":8,"total":3}')),
    quarantine=(checkpoint(b"damaged"),),
    guards=Guards(failures=1, stalls=2, sweeps=3),
    usage=Usage(
        slices_begun=2,
        steps=9,
        saves=3,
        saved_bytes=1818,
        compute_seconds=66.5,
        redone_seconds=1.5,
        platforms={"local": PlatformUsage(slices=1, seconds=60.0)},
    ),
    notices=Notices(targets=("sqs://done",), owed=("sqs://done",), rounds=1),
    error="ValueError: once",
    revision=Revision(writes=12, writer="abc.12"),
)
JOB = JOB.model_copy(update={"history": JOB.history.extended(ENDED)})

CHUNKS = tuple(Chunk(f"kept/t1/{number}", 16, f"{number}" * 64) for number in range(4))
WITH_ARRAYS = JOB.model_copy(
    update={
        "history": JOB.history.measured(160.0, {"loss": 0.75}),
        "params_chunks": CHUNKS[:1],
        "checkpoints": (
            checkpoint(
                b'{"a":{"$array":"<f4","shape":[8],"at":0}}',
                chunks=CHUNKS[1:3],
                metrics={"loss": 0.5},
            ),
            *JOB.checkpoints[1:],
        ),
        "dropped": (Dropped("kept/t0/9", 405.0, 2),),
        "result_chunks": CHUNKS[3:],
    }
)
WITH_PARTS = WITH_ARRAYS.model_copy(
    update={
        "fleet": Fleet(
            parallel=8,
            part_seconds=60.0,
            birth="0123456789abcdef",
            parts=3,
            window=2,
            era=1,
            calls=2,
            answered=1,
        ),
        "node": Node(birth="0123456789abcdef", level=1, number=2),
        "plan": {"pieces": 12},
        "lengths": (5, 4, 3),
    }
)
WEIGHED = WITH_PARTS.model_copy(update={"weights": (500_000_000, 300_000_000, 200_000_000)})
LEASED = WEIGHED.model_copy(
    update={"lease": LEASE.model_copy(update={"process": "0123456789ab#7@900"})}
)
TALKING = LEASED.printed([line_of(405.5, 2, "loss 0.5")])
# What each format can keep.
JOBS = {"2": JOB, "3": JOB, "4": WITH_ARRAYS, "5": WITH_PARTS, "6": WEIGHED, "7": LEASED}
PACED = changed(TALKING, per_second=0.0025, still_seconds=1.5, plan_version=3)
JOBS |= {"8": TALKING, "9": PACED}


@pytest.mark.parametrize("number", READABLE)
def test_what_an_earlier_version_stored_is_read(number: str) -> None:
    """A job that runs for weeks would be lost by an upgrade of its workers."""
    value = FILES[number].read_bytes()
    job = JOBS[number]
    assert all_of(decode(value)) == all_of(job)
    assert decode_stateless(value).model_dump() == job.model_dump()
    assert decode_head(value).usage == job.usage


def test_the_format_of_today_is_among_those_that_are_kept() -> None:
    """The next version could not be held against what this one has stored.

    Where this fails because the record changed: raise the number in `codec.MAGIC`, let `decode`
    read the old one, and keep a file of the new one here. Nothing else is compatible.
    """
    value = FILES[MAGIC[-1:].decode()].read_bytes()
    job = JOBS[MAGIC[-1:].decode()]
    assert texts_of(encode(job)) == texts_of(value)
    assert all_of(decode(encode(job))) == all_of(decode(value))


def all_of(record: Record) -> tuple[object, list[bytes], list[int]]:
    """The record with its states as they were saved: how far they are deflated is up to zlib."""
    kept = record.checkpoints + record.quarantine
    return record.model_dump(), [c.packed.unpacked() for c in kept], [c.packed.size for c in kept]


def texts_of(value: bytes) -> tuple[str, bytes]:
    """The record as it is written, without the states, whose stored length is up to zlib."""
    parts = RecordBytes.of(value)
    record = json.loads(parts.head)["record"]
    return json.dumps(record), parts.body  # in the order of the fields


@pytest.mark.parametrize("number", sorted(BEFORE_RELEASE))
def test_what_cannot_be_read_any_more_is_told_in_one_line(number: str) -> None:
    """A person would look for damage where there is none."""
    with pytest.raises(CorruptRecord, match=f"a record of format '{number}', from before") as error:
        decode(FILES[number].read_bytes())
    assert "\n" not in str(error.value)


def test_a_newer_format_is_told_from_damage() -> None:
    """In an upgrade an operator would repair or delete jobs that newer workers run."""
    value = FILES[MAGIC[-1:].decode()].read_bytes()
    with pytest.raises(NewerRecord, match="upgrade Outlast"):
        decode(NEWER_MAGIC + value[len(MAGIC) :])
