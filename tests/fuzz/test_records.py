"""Any stored value where a record should be."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.checkpoint.codec import MAGIC
from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.head import Body
from outlast.checkpoint.record import Record
from outlast.checkpoint.register import Stored
from outlast.checkpoint.view import view
from outlast.worker.cli.live_table import cells_of, line_of
from outlast.worker.dashboard.guard import Keys
from outlast.worker.dashboard.listing import Query
from outlast.worker.dashboard.pages import Pages
from outlast.worker.dashboard.rendering import Rendering
from outlast.worker.jobs.sweep import sweep
from outlast.worker.loops.consumer import Consumer
from tests.fakes import START
from tests.fuzz.values import json_values
from tests.kernels import expected
from tests.records import GROUPS, NEWER_MAGIC, RecordBytes, lease
from tests.worker import parts
from tests.worker.floor import JOB, STEPS, Floor

OTHER = "job-2"
FIELDS = [*Record.model_fields, *(f"{g}.{n}" for g, m in GROUPS.items() for n in m.model_fields)]
RENDERING = Rendering(Keys(None, 0))
FLIPS = st.tuples(st.integers(0, 10_000), st.integers(1, 255))


def begun() -> tuple[Floor, bytes]:
    """A job with two checkpoints, another one that has not begun, and the first as stored."""
    floor = Floor()
    floor.submit()
    floor.work(seconds=6.0)
    floor.submit(OTHER, steps=5)
    return floor, floor.register.values[f"jobs/{JOB}"].value


def flipped(data: bytes, flips: list[tuple[int, int]]) -> bytes:
    """Return the bytes with some of them changed."""
    changed = bytearray(data)
    for at, by in flips:
        changed[at % len(data)] ^= by
    return bytes(changed)


def forged(data: bytes, **fields: object) -> bytes:
    """Return the record with other fields, "usage.steps" too, and checksums that fit."""
    parts = RecordBytes.of(data)
    head, body = json.loads(parts.head), json.loads(parts.body)
    for name, value in fields.items():
        *group, field = name.split(".")
        record = body if field in Body.model_fields else head["record"]
        part = record[group[0]] if group else record
        if isinstance(part, dict):  # else it was forged itself
            part[field] = value
    texts = (json.dumps(part).encode() for part in (head, body))
    return RecordBytes(*texts, parts.states).joined()


def store(floor: Floor, value: bytes) -> None:
    """Put the value where the record was."""
    key = f"jobs/{JOB}"
    floor.register.values[key] = Stored(value, floor.register.values[key].version)


def look_at(floor: Floor) -> None:
    """Let a person look at all jobs, on a terminal and on the pages of a dashboard."""
    pages = Pages(floor.jobs, RENDERING)
    pages.jobs(Query(), csrf="")
    for job_id in floor.jobs.ids():
        with suppress(CorruptRecord):
            record = floor.jobs.load(job_id).record
            assert json.loads(json.dumps(view(record), allow_nan=False))
            cells_of(record, floor.clock())
            line_of(record, floor.clock())
            pages.job(job_id, csrf="")


def work_with(floor: Floor, value: bytes) -> None:
    """Put the value where the record was, and let a worker and a person have a look."""
    store(floor, value)
    floor.clock.sleep(60.0)
    sweep(floor.jobs, floor.queue, after_seconds=1.0)
    Consumer(floor.process(), slice_seconds=3.0).run(max_idle_seconds=60.0)
    assert floor.jobs.load(OTHER).record.result == expected(5), "the other job was held up"


@given(flips=st.lists(FLIPS, min_size=1, max_size=3), cut=st.none() | st.integers(0, 2000))
def test_damage_never_gives_a_wrong_result(flips: list[tuple[int, int]], cut: int | None) -> None:
    """A failing disk would change what a job computes, or stop all other jobs."""
    floor, value = begun()
    damaged = flipped(value, flips)[:cut]
    work_with(floor, damaged)
    try:
        record = floor.record
    except CorruptRecord:
        assert floor.register.values[f"jobs/{JOB}"].value == damaged
    else:
        assert record.result in (None, expected(STEPS))


@given(value=st.binary(max_size=300))
def test_what_is_foreign_is_left_as_it_is(value: bytes) -> None:
    """A key that another program wrote would be destroyed, or end the worker."""
    floor, _ = begun()
    work_with(floor, value)
    assert floor.register.values[f"jobs/{JOB}"].value == value


@given(fields=st.dictionaries(st.sampled_from(FIELDS), json_values, min_size=1, max_size=3))
def test_a_forged_record_ends_neither_the_worker_nor_a_listing(fields: dict[str, object]) -> None:
    """A person who may write one job could stop all others."""
    floor, value = begun()
    forgery = forged(value, **fields)
    store(floor, forgery)
    look_at(floor)
    work_with(floor, forgery)
    look_at(floor)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "running", "lease": lease().model_dump() | {"claimed_at": 1e300}},
        {"status": "running", "pace.per_second": 5e-324},
        {"status": "running", "pace.per_second": 1e308},
        {"usage.platforms": {"local": {"slices": 2**53 - 1, "seconds": 1.79e308}}},
    ],
    ids=["claimed_at", "slowest", "fastest", "platforms"],
)
def test_a_forged_account_ends_neither_the_worker_nor_a_listing(fields: dict[str, object]) -> None:
    """A person who may write one job could stop all others."""
    floor, value = begun()
    forgery = forged(value, **fields)
    store(floor, forgery)
    look_at(floor)
    work_with(floor, forgery)


def test_a_forged_division_does_not_end_a_listing() -> None:
    """A person who may write one job could take the list of all jobs away."""
    floor = parts.divided()
    parts.submit(floor)
    parts.work(floor, until=lambda: floor.jobs.clock() > START + 20.0)
    value = floor.register.values[f"jobs/{JOB}"].value
    store(floor, forged(value, lengths=[], weights=[]))
    look_at(floor)


@pytest.mark.parametrize("version", [b"1", NEWER_MAGIC[-1:], b"\xff"])
def test_a_record_of_another_format_is_kept_for_the_version_that_reads_it(version: bytes) -> None:
    """After a roll-back of a deploy the older workers would throw away the newer ones' jobs."""
    floor, value = begun()
    newer = MAGIC[:-1] + version + value[len(MAGIC) :]
    work_with(floor, newer)
    assert floor.register.values[f"jobs/{JOB}"].value == newer
