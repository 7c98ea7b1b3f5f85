"""The bytes of a record: whatever happens to them, a wrong state never comes out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.codec import (
    MAGIC,
    MAX_HEAD_BYTES,
    PREFIX,
    CutShort,
    decode,
    decode_head,
    decode_stateless,
    encode,
)
from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.head import Body
from outlast.checkpoint.packed import MAX_STATE_BYTES, PACK_FROM_BYTES
from outlast.checkpoint.view import view
from tests.records import NEWER_MAGIC, RecordBytes, checkpoint, job, lease

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

STATES = (b'{"at":20,"total":400}', b'{"table":"' + b"0123456789" * 200 + b'"}')
SMALL_AND_LARGE = pytest.mark.parametrize("large_first", [False, True])


def record(*states: bytes, **fields: object) -> Record:
    """A record with these states, newest first."""
    checkpoints = tuple(checkpoint(s, sequence=len(states) - n) for n, s in enumerate(states))
    return job(checkpoints=checkpoints, **fields)


def state_served(data: bytes) -> bytes | None:
    """The state that a worker goes on from; None where the job fails as there is none."""
    claimed = decode(data).claimed(lease())
    return claimed.checkpoints[0].state if claimed.lease else None


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """The bytes with one bit turned."""
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def stored(*, large_first: bool = False) -> bytes:
    """A record with a state that is deflated, newest or oldest, and one that is not."""
    return encode(record(*(reversed(STATES) if large_first else STATES)))


@given(
    states=st.lists(st.binary(max_size=3 * PACK_FROM_BYTES), max_size=2),
    quarantined=st.lists(st.binary(max_size=50), max_size=2),
    result=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ).filter(lambda value: "Infinity" not in repr(value) and "inf" not in repr(value)),
)
@settings(deadline=None, max_examples=50)
def test_what_was_stored_comes_back(
    states: list[bytes], quarantined: list[bytes], result: object
) -> None:
    """Lost here, a job's progress or its result would change by being stored."""
    quarantine = tuple(map(checkpoint, quarantined))
    whole = record(*states, result=result, lease=lease(), quarantine=quarantine)
    assert decode(encode(whole)) == whole


@SMALL_AND_LARGE
def test_each_flipped_byte_is_noticed(large_first: bool) -> None:
    """A disk or a network that flips a bit would otherwise send a job on from a wrong state."""
    data = stored(large_first=large_first)
    newest, oldest = (c.state for c in decode(data).checkpoints)
    for at in range(len(data)):
        try:
            served = state_served(flipped(data, at, at % 8))
        except CorruptRecord:
            continue
        assert served in {newest, oldest}


@SMALL_AND_LARGE
def test_a_flaw_in_one_state_costs_that_state_alone(large_first: bool) -> None:
    """Without this a single flipped bit in the newest checkpoint would cost the job."""
    data = stored(large_first=large_first)
    newest, oldest = (c.state for c in decode(data).checkpoints)
    begin = len(data) - len(RecordBytes.of(data).states)
    served = [state_served(flipped(data, at, 0)) for at in range(begin, len(data))]
    assert set(served) == {newest, oldest}
    assert served[0] == oldest
    assert served[-1] == newest


@SMALL_AND_LARGE
def test_each_truncation_is_noticed(large_first: bool) -> None:
    """A half-written value would otherwise send a job on from a wrong state."""
    data = stored(large_first=large_first)
    for size in range(len(data)):
        try:
            served = state_served(data[:size])
        except CorruptRecord:
            continue
        assert served in {*STATES, None}


@given(data=st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: MAGIC + tail))
@settings(deadline=None, max_examples=200)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """A key that another program wrote would otherwise crash the worker."""
    with pytest.raises(CorruptRecord):
        decode(data)


@given(damage=st.data())
@settings(deadline=None, max_examples=200)
def test_spliced_bytes_never_give_a_wrong_state(damage: st.DataObject) -> None:
    """Damage of several bytes at once must not be mistaken for progress either."""
    data = stored(large_first=damage.draw(st.booleans()))
    begin, end = sorted(damage.draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    patch = damage.draw(st.binary(max_size=40))
    try:
        served = state_served(data[:begin] + patch + data[end:])
    except CorruptRecord:
        return
    assert served in {*STATES, None}


def test_a_newer_format_asks_for_an_upgrade() -> None:
    """An operator who downgraded would otherwise look for damage that is not there."""
    data = encode(record())
    with pytest.raises(CorruptRecord, match="upgrade Outlast"):
        decode(NEWER_MAGIC + data[len(MAGIC) :])


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        (b"{}", "record: Field required"),
        (b"[", "not a record of this version"),
        (b'{"record":{"job_id":"a"},"states":[]}', "kernel"),
    ],
)
def test_a_head_of_another_program_is_named(head: bytes, complaint: str) -> None:
    """The line that an operator reads must say what does not fit."""
    with pytest.raises(CorruptRecord, match=re.escape(complaint)):
        decode(RecordBytes(head, b"{}", b"").joined())


def test_a_body_of_another_program_is_named() -> None:
    """The line that an operator reads must say what does not fit."""
    head, _, states = RecordBytes.of(stored())
    with pytest.raises(CorruptRecord, match="params: Field required"):
        decode(RecordBytes(head, b"{}", states).joined())


def with_states(data: bytes, states: object) -> bytes:
    """The stored record, whose head says this of its states."""
    head, body, rest = RecordBytes.of(data)
    changed = json.dumps(json.loads(head) | {"states": states}).encode()
    return RecordBytes(changed, body, rest).joined()


@pytest.mark.parametrize(
    ("states", "complaint"),
    [
        ([], "do not fit"),
        ([{"size": -2, "unpacked": None}], "states"),
        ([{"size": 2, "unpacked": 0}], "states"),  # To zlib it would be no limit.
        ([{"size": 2, "unpacked": MAX_STATE_BYTES + 1}], "states"),
        ([{"size": 2, "unpacked": None}] * 10_000, "states"),
    ],
)
def test_states_must_fit_the_checkpoints(states: object, complaint: str) -> None:
    """One state would be given for another, or a forged one fill the memory of who looks at it."""
    with pytest.raises(CorruptRecord, match=complaint):
        decode(with_states(encode(record(b"{}")), states))


def test_no_more_checkpoints_are_read_than_are_ever_kept() -> None:
    """A person who may write one job could fill the memory of each worker with its states."""
    head, body, states = RecordBytes.of(encode(record(b"{}")))
    forged = json.loads(head)
    forged["record"]["checkpoints"] *= 3
    with pytest.raises(CorruptRecord, match="checkpoints: Tuple should have at most 2 items"):
        decode(RecordBytes(json.dumps(forged).encode(), body, states).joined())


def test_no_state_comes_out_of_the_head() -> None:
    """A forged state would be taken for the one that was not read."""
    head, body, states = RecordBytes.of(encode(record(b"{}")))
    forged = json.loads(head)
    forged["record"]["checkpoints"][0]["stored"] = ["{}", 2, False]
    with pytest.raises(CorruptRecord, match="stored"):
        decode_head(RecordBytes(json.dumps(forged).encode(), body, states).joined())


def test_a_head_that_claims_to_be_huge_is_not_asked_for() -> None:
    """One forged record would have each sweep read as much as it claims."""
    data = stored()
    _, digest, _, *body = PREFIX.unpack_from(data)
    forged = PREFIX.pack(MAGIC, digest, MAX_HEAD_BYTES + 1, *body) + data[PREFIX.size :]
    with pytest.raises(CorruptRecord, match="claims a head of 1,048,577 bytes") as error:
        decode_head(forged)
    assert not isinstance(error.value, CutShort)


@pytest.mark.parametrize("deep", [b'{"params":' * 10_000, b"[" * 100_000])
def test_what_is_nested_too_deeply_is_refused_in_one_line(deep: bytes) -> None:
    """A forged record would end each worker that reads it by the depth of its stack."""
    head, body, states = RecordBytes.of(stored())
    for forged in (RecordBytes(deep, body, states), RecordBytes(head, deep, states)):
        with pytest.raises(CorruptRecord, match="recursion limit"):
            decode(forged.joined())


def test_a_head_does_not_grow_with_what_a_job_computes() -> None:
    """A list or a sweep of many jobs would read all that they were given and have computed."""
    huge = job(params={"seeds": "x" * 100_000}).succeeded({"found": ["y" * 100_000]})
    small = job().succeeded(None)
    assert len(RecordBytes.of(encode(huge)).head) == len(RecordBytes.of(encode(small)).head)


def test_the_start_of_a_record_is_the_record_without_its_states() -> None:
    """A list of jobs would have to load megabytes of each."""
    for data in (stored(), stored(large_first=True)):
        whole, parts = decode(data), RecordBytes.of(data)
        body_ends = len(data) - len(parts.states)
        head = decode_head(data[: body_ends - len(parts.body)])
        assert head.model_dump() == whole.model_dump(exclude=set(Body.model_fields))
        stateless = decode_stateless(data[:body_ends])
        assert stateless.model_dump() == whole.model_dump()
        assert decode_head(data) == head
        assert decode_stateless(data) == stateless


def test_a_state_that_was_not_read_does_not_look_empty() -> None:
    """A program that goes through a list would take a job's progress for lost, or store it so."""
    stateless = decode_stateless(stored())
    for look in (lambda c: c.state, lambda c: c.is_intact, lambda c: c.packed):
        with pytest.raises(ValueError, match="state of checkpoint 2 was not read: load the job"):
            look(stateless.checkpoints[0])
    with pytest.raises(ValueError, match="was not read"):
        encode(stateless)


@given(cut=st.integers(min_value=PREFIX.size, max_value=5000))
@settings(deadline=None, max_examples=50)
def test_a_start_that_is_too_short_is_told_from_damage(cut: int) -> None:
    """A long result would make its job look corrupt, or damage look like a long result."""
    data = stored()
    parts = RecordBytes.of(data)
    head_ends = PREFIX.size + len(parts.head)
    body_ends = head_ends + len(parts.body)
    for decoder, end in ((decode_head, head_ends), (decode_stateless, body_ends)):
        if cut < end:
            with pytest.raises(CutShort) as short:
                decoder(data[:cut])
            assert short.value.end in {head_ends, end}
        else:
            decoder(data[:cut])
            with pytest.raises(CorruptRecord, match="checksum"):
                decoder(flipped(data, end - 1, 0))


def test_what_is_stored_is_not_packed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each small write of a job would cost as much time as all its states."""
    before = decode(stored())
    packed = []

    def compress(data: bytes, **_: int) -> bytes:
        packed.append(data)
        return data

    monkeypatch.setattr("outlast.checkpoint.packed.zlib.compress", compress)
    encode(before.claimed(lease()).marked_announced())
    assert packed == []
    newer = STATES[1] + b" "
    encode(before.saved(checkpoint(newer)))
    assert packed == [newer]


def test_no_state_is_unpacked_that_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at how a job stands would cost the time and the memory of all its states."""
    data = stored(large_first=True)

    def refuse() -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr("outlast.checkpoint.packed.zlib.decompressobj", refuse)
    whole = decode(data)
    assert view(whole)["progress"] == 0.25
    assert encode(whole) == data
    with pytest.raises(AssertionError, match="unpacked"):
        _ = whole.checkpoints[0].state
