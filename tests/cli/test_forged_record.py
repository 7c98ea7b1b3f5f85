"""A small record, forged by a person who may write one job, whose states unpack to much."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zlib
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from outlast.checkpoint.codec import MAGIC_2, PREFIX_2
from outlast.checkpoint.head import GENERATIONS
from outlast.checkpoint.packed import MAX_STATE_BYTES
from tests.records import RecordBytes

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client

CHUNK = bytes(1 << 20)
# Printed by a process in between, as one that pytest starts itself counts the memory of pytest.
MEASURE = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
STATUS, LIST, WORKER = ("status", "a"), ("list",), ("worker", "--max-idle-seconds", "0.01")


@cache
def bomb() -> tuple[bytes, str]:
    """The longest state that is unpacked, deflated, and its checksum."""
    deflater, digest = zlib.compressobj(1), hashlib.blake2b(digest_size=16)
    pieces = []
    for _ in range(MAX_STATE_BYTES // len(CHUNK)):
        digest.update(CHUNK)
        pieces.append(deflater.compress(CHUNK))
    return b"".join([*pieces, deflater.flush()]), digest.hexdigest()


class Forged(NamedTuple):
    """How many such states a record has, and whether it is of format 2."""

    newest: int
    quarantined: int
    is_old: bool = False


def forge(client: Client, forged: Forged) -> int:
    """Store a job with such a record; return how many bytes it has."""
    newest, quarantined, is_old = forged
    client.submit("tally", job_id="a", steps=3)
    stored = client.jobs._register.read("jobs/a")
    assert stored is not None
    parts, (state, digest) = RecordBytes.of(stored.value), bomb()
    checkpoint = {"digest": digest, "version": 1, "slice": 1, "progress": 0.5, "saved_at": 1.0}
    head, states = json.loads(parts.head), state * (newest + quarantined)
    head["record"]["checkpoints"] = [checkpoint] * newest
    head["record"]["quarantine"] = [checkpoint] * quarantined
    kept = {"deflated": True} if is_old else {"unpacked": MAX_STATE_BYTES}
    head["states"] = [{"size": len(state)} | kept] * (newest + quarantined)
    if is_old:
        head["record"] |= json.loads(parts.body)
        text = json.dumps(head).encode()
        begin = PREFIX_2.pack(MAGIC_2, hashlib.blake2b(text, digest_size=16).digest(), len(text))
        value = begin + text + states
    else:
        value = RecordBytes(json.dumps(head).encode(), parts.body, states).joined()
    client.jobs._register.put("jobs/a", value, expected=stored.version)
    return len(value)


@pytest.mark.parametrize(
    ("forged", "words", "bound_mb"),
    [
        (Forged(12, 0), STATUS, 150),
        (Forged(12, 0), WORKER, 150),
        (Forged(GENERATIONS, GENERATIONS), LIST, 150),
        (Forged(GENERATIONS, GENERATIONS), STATUS, 150),
        (Forged(GENERATIONS, GENERATIONS), WORKER, 600),  # which unpacks one at a time
        (Forged(GENERATIONS, GENERATIONS, is_old=True), STATUS, 600),  # likewise
    ],
)
def test_it_does_not_take_the_memory_of_who_looks_at_it(
    forged: Forged, words: tuple[str, ...], bound_mb: int, client: Client
) -> None:
    """One forged job would take down each worker, and each command, by its memory."""
    assert forge(client, forged) < 8_000_000
    line = [sys.executable, "-c", MEASURE, sys.executable, "-m", "outlast", *words]
    ended = subprocess.run(line, check=True, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    peak = int(ended.stdout.splitlines()[-1])
    assert peak / (1 << 10) < bound_mb
