"""Many writers, one key: exactly one wins each version."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.errors import VersionConflict
from tests.checkpoint.conftest import REAL_REDIS, make_backend

if TYPE_CHECKING:
    from outlast.checkpoint.register import Register
    from tests.checkpoint.conftest import Backend

KEY = "jobs/raced"
WRITERS = 8
ROUNDS = 25
# SeaweedFS lets a writer that meets another one wait a second.
FEWER_ROUNDS = {"seaweedfs": 3}
WINS_EACH = 10


@pytest.mark.parametrize("shared", [True, False], ids=["one register", "a register each"])
def test_one_thread_wins_each_version(backend: Backend, shared: bool) -> None:
    """Two workers would hold one lease, and the slower one's progress overwrite the other's."""
    registers = [backend.open()] * WRITERS if shared else [backend.open() for _ in range(WRITERS)]
    start = threading.Barrier(WRITERS)
    version = None
    with ThreadPoolExecutor(WRITERS) as pool:
        for turn in range(FEWER_ROUNDS.get(backend.name, ROUNDS)):

            def write(writer: int, turn: int = turn, version: str | None = version) -> str | None:
                value = f"turn {turn}, writer {writer}".encode()
                start.wait(timeout=30)
                return put_or_none(registers[writer], value, version)

            answers = list(pool.map(write, range(WRITERS)))
            winners = [writer for writer, answer in enumerate(answers) if answer is not None]
            assert len(winners) == 1, f"turn {turn}: {len(winners)} winners"
            version = answers[winners[0]]
            value = f"turn {turn}, writer {winners[0]}".encode()
            assert registers[0].read(KEY) == (value, version)


def put_or_none(register: Register, value: bytes, version: str | None) -> str | None:
    """Return the new version, or None for a writer that came too late."""
    try:
        return register.put(KEY, value, expected=version)
    except VersionConflict:
        return None


@pytest.mark.parametrize(
    "name", ["sqlite", *REAL_REDIS, pytest.param("three_nodes", marks=pytest.mark.chaos)]
)
def test_one_process_wins_each_version(name: str, request: pytest.FixtureRequest) -> None:
    """As with threads, and eight workers that start at once on a new file would trip over it."""
    with ExitStack() as opened:
        backend = make_backend(name, request, opened)
        command = [sys.executable, "-m", "tests.checkpoint.contender", backend.url]
        racers = [
            subprocess.Popen([*command, str(WINS_EACH)], stdout=subprocess.PIPE, text=True)
            for _ in range(WRITERS)
        ]
        replaced = [line for racer in racers for line in racer.communicate()[0].splitlines()]
        assert [racer.returncode for racer in racers] == [0] * WRITERS
        assert len(replaced) == len(set(replaced)) == WRITERS * WINS_EACH
        assert int(backend.open().read(KEY).value) == WRITERS * WINS_EACH
