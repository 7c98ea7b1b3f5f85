"""The bytes of a record: whatever happens to them, a wrong state never comes out."""

from __future__ import annotations

import hashlib
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.codec import HEAD, MAGIC, PACK_FROM_BYTES, decode, decode_head, encode
from outlast.checkpoint.errors import CorruptCheckpoint, CorruptRecord
from outlast.checkpoint.parts import Checkpoint, Lease, digest_of
from outlast.checkpoint.record import Record

STATES = (b'{"at":20,"total":400}', b'{"table":"' + b"0123456789" * 200 + b'"}')
LEASE = Lease(worker="w", token="t", claimed_at=1.0, expires_at=2.0, at_risk_seconds=1.0)


def checkpoint(state: bytes, sequence: int = 1) -> Checkpoint:
    """A checkpoint of this state, with its checksum."""
    return Checkpoint(
        state=state,
        digest=digest_of(state),
        version=1,
        sequence=sequence,
        slice=1,
        progress=0.5,
        saved_at=1_800_000_000.25,
    )


def record(*states: bytes, **fields: object) -> Record:
    """A record with these states, newest first."""
    checkpoints = tuple(checkpoint(s, len(states) - n) for n, s in enumerate(states))
    base = {"job_id": "a", "kernel": "counting", "params": {"steps": 30}}
    times = {"created_at": 1.0, "updated_at": 2.0}
    return Record.model_validate({**base, **times, "checkpoints": checkpoints, **fields})


def state_served(data: bytes) -> bytes:
    """The state that a worker goes on from; raises the clear error where there is none."""
    return decode(data).claimed(LEASE).checkpoints[0].state


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """The bytes with one bit turned."""
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def small_and_large() -> list[bytes]:
    """Records whose newest state is deflated or not, and the other way round."""
    return [encode(record(*STATES)), encode(record(*reversed(STATES)))]


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
    whole = record(*states, result=result, lease=LEASE).model_copy(
        update={"quarantine": tuple(checkpoint(s) for s in quarantined)}
    )
    assert decode(encode(whole)) == whole


@pytest.mark.parametrize("data", small_and_large(), ids=["small-first", "large-first"])
def test_each_flipped_byte_is_noticed(data: bytes) -> None:
    """A disk or a network that flips a bit would otherwise send a job on from a wrong state."""
    newest, oldest = (c.state for c in decode(data).checkpoints)
    for at in range(len(data)):
        try:
            served = state_served(flipped(data, at, at % 8))
        except CorruptRecord:
            continue
        assert served in {newest, oldest}


@pytest.mark.parametrize("data", small_and_large(), ids=["small-first", "large-first"])
def test_a_flaw_in_one_state_costs_that_state_alone(data: bytes) -> None:
    """Without this a single flipped bit in the newest checkpoint would cost the job."""
    newest, oldest = (c.state for c in decode(data).checkpoints)
    begin = HEAD.size + HEAD.unpack_from(data)[2]
    served = [state_served(flipped(data, at, 0)) for at in range(begin, len(data))]
    assert set(served) == {newest, oldest}
    assert served[0] == oldest
    assert served[-1] == newest


@pytest.mark.parametrize("data", small_and_large(), ids=["small-first", "large-first"])
def test_each_truncation_is_noticed(data: bytes) -> None:
    """A half-written value would otherwise send a job on from a wrong state."""
    states = {c.state for c in decode(data).checkpoints}
    for size in range(len(data)):
        try:
            served = state_served(data[:size])
        except (CorruptRecord, CorruptCheckpoint):
            continue
        assert served in states


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
    data = damage.draw(st.sampled_from(small_and_large()))
    states = {c.state for c in decode(data).checkpoints}
    begin, end = sorted(damage.draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    patch = damage.draw(st.binary(max_size=40))
    try:
        served = state_served(data[:begin] + patch + data[end:])
    except (CorruptRecord, CorruptCheckpoint):
        return
    assert served in states


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
        decode(with_head(head))


def test_states_must_fit_the_checkpoints() -> None:
    """A head that promises other states than it describes must not give one for another."""
    head = encode(record(b"{}"))[HEAD.size :].replace(b'"size":2', b'"size":-2')
    with pytest.raises(CorruptRecord, match="states"):
        decode(with_head(head.removesuffix(b"{}")))
    lonely = encode(record(b"{}"))[HEAD.size :].removesuffix(b"{}")
    shorn = re.sub(rb'"states":\[.*\]', b'"states":[]', lonely)
    with pytest.raises(CorruptRecord, match="do not fit"):
        decode(with_head(shorn))


def test_a_big_state_is_deflated_only_where_that_pays() -> None:
    """Stored uncompressed, a table costs money; deflating noise costs time."""
    assert len(encode(record(b"0" * 100_000))) < 10_000
    noise = os.urandom(10_000)
    assert noise in encode(record(noise))


def with_head(head: bytes) -> bytes:
    """Bytes whose head has its checksum, whatever it says."""
    digest = hashlib.blake2b(head, digest_size=16).digest()
    return HEAD.pack(MAGIC, digest, len(head)) + head


def test_a_head_is_the_record_without_its_states() -> None:
    """A list of jobs would have to load megabytes of each."""
    for data in small_and_large():
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
    data = small_and_large()[0]
    end = HEAD.size + HEAD.unpack_from(data)[2]
    start = data[:cut]
    assert (decode_head(start) is None) == (len(start) < end)
    with pytest.raises(CorruptRecord, match="checksum"):
        decode_head(flipped(data, min(cut, end - 1), 0))
