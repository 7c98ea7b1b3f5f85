"""Machine code: where it is kept, when it is made anew, and what may be passed to it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from outlast.kernel.nth_prime.jit import files, fingerprint, int64, jit, uint64

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = """
import sys, numpy
from outlast.kernel.nth_prime.sieve import bits
print(bits.count(numpy.array([3, 5], numpy.uint64)), "numba" in sys.modules)
"""

COMPILED, LOADED = "4 True\n", "4 False\n"

# No user, not even root, can create a file in there.
FORBIDDEN = "/dev/null/cache"

# From here on a write to a file fails, as on a full disk; a pipe takes it.
FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"


def start(code: str = CODE, **environment: str) -> subprocess.Popen[str]:
    """Start Python in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str = CODE, **environment: str) -> tuple[str, str]:
    """Return what a process prints, and its warnings."""
    return start(code, **environment).communicate()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a process has left machine code."""
    folder = tmp_path_factory.mktemp("built") / "cache"
    assert run(NUMBA_CACHE_DIR=str(folder)) == (COMPILED, "")
    return folder


@pytest.fixture
def cache(built: Path, tmp_path: Path) -> str:
    """Return a copy of this folder."""
    return str(shutil.copytree(built, tmp_path / "cache"))


def test_what_one_process_compiles_another_loads_without_the_compiler(cache: str) -> None:
    """Otherwise every process takes seconds to compile, or half a second to import numba."""
    assert run(NUMBA_CACHE_DIR=cache) == (LOADED, "")


def test_a_folder_that_cannot_be_written_serves_what_it_holds(cache: str) -> None:
    """Otherwise each cold start pays again for the compile that an image paid for when built."""
    assert run(FULL_DISK + CODE, NUMBA_CACHE_DIR=cache) == (LOADED, "")


def test_an_unwritable_cache_folder_is_a_warning(tmp_path: Path) -> None:
    """Otherwise a job crashes at import on a machine with a read-only file system."""
    environment = {"NUMBA_CACHE_DIR": FORBIDDEN, "TMPDIR": str(tmp_path)}
    printed, warned = run(**environment)
    assert printed == COMPILED
    assert FORBIDDEN in warned
    assert run(**environment) == (LOADED, "")


@pytest.mark.parametrize("kept", [0, 7, -1])
def test_a_damaged_file_is_compiled_anew_and_mended(cache: str, kept: int) -> None:
    """Every job of a machine would fail, or crash, for good after its disk was full once."""
    (file,) = Path(cache).iterdir()
    file.write_bytes(file.read_bytes()[:kept])
    printed, warned = run(NUMBA_CACHE_DIR=cache)
    assert printed == COMPILED
    assert warned.count("UserWarning: damaged machine code is compiled again") == 1
    assert run(NUMBA_CACHE_DIR=cache) == (LOADED, "")


def test_a_disk_that_takes_no_bytes_costs_a_warning_and_no_job(tmp_path: Path) -> None:
    """A file can be created on a full disk, so the folder looks as if it could be written."""
    printed, warned = run(FULL_DISK + CODE, NUMBA_CACHE_DIR=str(tmp_path), TMPDIR=str(tmp_path))
    assert printed == COMPILED
    assert warned.count("UserWarning: machine code is not kept") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_user_without_a_home_folder_compiles_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a container, whose user may have a number and no more, kernels would crash."""

    def refuse(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", refuse)
    beside, private = files._folders()
    assert (beside.name, private.parent) == ("__pycache__", Path(tempfile.gettempdir()))


def test_what_machine_code_is_not_known_by_is_refused() -> None:
    """Code for another value, or another order of fields, would be taken for it."""
    factor = len("ab")
    with pytest.raises(TypeError, match="has variables of a function around it"):
        jit(lambda n: n * factor)
    records = np.zeros(2, [("x", "i8"), ("y", "i8")])
    with pytest.raises(TypeError, match="compiled code takes no array of records"):
        total(records, 1.0)


def test_a_temporary_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    """Otherwise another user of the machine can slip in machine code of theirs."""
    open_to_all = tmp_path / f"outlast-compiled-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    printed, warned = run(NUMBA_CACHE_DIR=FORBIDDEN, TMPDIR=str(tmp_path))
    assert printed == COMPILED
    assert "machine code is not kept" in warned
    assert not list(open_to_all.iterdir())


def test_what_is_compiled_is_kept_by_a_process_that_is_killed(tmp_path: Path) -> None:
    """A function that is killed every minute would compile for ever."""
    killed = start(CODE + "sys.stdout.flush(); import os; os.kill(os.getpid(), 9)",
                   NUMBA_CACHE_DIR=str(tmp_path))  # fmt: skip
    assert killed.communicate()[0] == COMPILED
    assert killed.returncode == -9
    assert run(NUMBA_CACHE_DIR=str(tmp_path)) == (LOADED, "")


def test_processes_that_compile_at_the_same_time_do_not_harm_each_other(tmp_path: Path) -> None:
    """The first jobs on a machine with many workers would crash, or load half a file."""
    started = [start(NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(3)]
    for process in started:
        printed, warned = process.communicate()
        assert (printed in {COMPILED, LOADED}, warned) == (True, "")
    assert [path.suffix for path in tmp_path.iterdir()] == [".native"]


def test_another_processor_gets_machine_code_of_its_own(cache: str) -> None:
    """Workers that share a folder would end with SIGILL where a processor is older."""
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert run(NUMBA_CACHE_DIR=cache, **other) == (COMPILED, "")
    assert run(NUMBA_CACHE_DIR=cache) == (LOADED, "")


def test_kernels_of_others_compile_in_the_same_process(tmp_path: Path) -> None:
    """A user's own kernel that uses numba would crash once ours has compiled anything."""
    code = (
        CODE
        + """
import numba
@numba.njit
def count(n):
    return max(n, len(numpy.zeros(n)) + 2**n, len([n]))
print(count(3))
"""
    )
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == (COMPILED + "11\n", "")


FACTOR, OFFSETS = 3, (1, 2)


def scaled(n: int) -> int:
    """Return a multiple. The docstring does not matter."""
    return FACTOR * n + OFFSETS[1]


def with_globals(function: Callable[..., Any], **changed: object) -> Callable[..., Any]:
    """Return the same function in a module with other globals."""
    return type(function)(function.__code__, {**globals(), **changed}, function.__name__)


def calling(n: int) -> int:
    """Return what another function returns."""
    return scaled(n)


def test_machine_code_depends_on_all_that_comes_into_it() -> None:
    """After an upgrade a worker would go on with what it compiled before, and its errors."""
    variants = [
        with_globals(calling, scaled=jit(with_globals(scaled))),
        with_globals(calling, scaled=jit(with_globals(scaled, FACTOR=4))),
        with_globals(calling, scaled=jit(with_globals(scaled, OFFSETS=(1, 3)))),
        with_globals(calling, scaled=jit(lambda n: n + FACTOR)),
    ]
    assert len({fingerprint.of_function(variant) for variant in variants}) == len(variants)
    same = with_globals(calling, scaled=jit(with_globals(scaled)))
    assert fingerprint.of_function(same) == fingerprint.of_function(variants[0])


@jit
def remainder(a: int, b: int) -> int:
    """Return a modulo b, as Python has it."""
    return a % b


def test_integers_of_64_bits_come_through_and_longer_ones_are_refused() -> None:
    """A count beyond 2^63 would silently be another number."""
    assert remainder(-(2**63), 10) == -(2**63) % 10
    assert remainder(2**63 - 1, 10) == 7
    assert remainder(uint64(2**64 - 1), uint64(10)) == 5
    for n in (2**63, -(2**63) - 1):
        with pytest.raises(struct.error):
            remainder(n, 10)


@jit
def total(table: Any, factor: float) -> tuple[int, float]:
    """Return how many numbers a table has, and a multiple of their sum."""
    sum_ = 0.0
    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            sum_ += table[i, j]
    return int64(table.size), factor * sum_


def test_arrays_of_each_type_are_read_as_what_they_are() -> None:
    """Machine code for one type of numbers would read those of another as garbage."""
    table = np.arange(6).reshape(2, 3)
    for dtype in (np.int64, np.float64, np.int32):
        assert total(table.astype(dtype), 0.5) == (6, 7.5)
    assert total(np.empty((0, 3)), 1.0) == (0, 0)
    for strange in (table.T, np.broadcast_to(table, (2, 2, 3))[0], [1, 2], True):
        with pytest.raises(TypeError):
            total(strange, 1.0)
