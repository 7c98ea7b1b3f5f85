"""The bytes of a record: whatever happens to them, a wrong state never comes out."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.codec import HEAD, MAGIC, PACK_FROM_BYTES, decode, decode_head, encode
from outlast.checkpoint.errors import CorruptRecord
from tests.records import checkpoint, job, lease, record_bytes

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
    begin = HEAD.size + HEAD.unpack_from(data)[2]
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
        decode(MAGIC[:-1] + b"3" + data[len(MAGIC) :])


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
        decode(record_bytes(head))


def test_states_must_fit_the_checkpoints() -> None:
    """A head that promises other states than it describes must not give one for another."""
    head = encode(record(b"{}"))[HEAD.size :].replace(b'"size":2', b'"size":-2')
    with pytest.raises(CorruptRecord, match="states"):
        decode(record_bytes(head.removesuffix(b"{}")))
    lonely = encode(record(b"{}"))[HEAD.size :].removesuffix(b"{}")
    shorn = re.sub(rb'"states":\[.*\]', b'"states":[]', lonely)
    with pytest.raises(CorruptRecord, match="do not fit"):
        decode(record_bytes(shorn))


def test_a_big_state_is_deflated_only_where_that_pays() -> None:
    """Stored uncompressed, a table costs money; deflating noise costs time."""
    assert len(encode(record(b"0" * 100_000))) < 10_000
    noise = os.urandom(10_000)
    assert noise in encode(record(noise))


def test_a_head_is_the_record_without_its_states() -> None:
    """A list of jobs would have to load megabytes of each."""
    for data in (stored(), stored(large_first=True)):
        whole, end = decode(data), HEAD.size + HEAD.unpack_from(data)[2]
        head = decode_head(data[:end])
        assert head is not None
        assert head.model_dump() == whole.model_dump()
        assert [checkpoint.state for checkpoint in head.checkpoints] == [b"", b""]
        assert decode_head(data) == head


@given(cut=st.integers(min_value=HEAD.size))
@settings(max_examples=50)
def test_a_start_that_is_too_short_is_told_from_damage(cut: int) -> None:
    """A long result would make its job look corrupt, or damage look like a long result."""
    data = stored()
    end = HEAD.size + HEAD.unpack_from(data)[2]
    start = data[:cut]
    assert (decode_head(start) is None) == (len(start) < end)
    with pytest.raises(CorruptRecord, match="checksum"):
        decode_head(flipped(data, min(cut, end - 1), 0))
