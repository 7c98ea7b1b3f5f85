"""Where machine code is kept when the usual folder cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
from outlast.kernel.nth_prime.sieve import bits
import numpy
print(bits.count(numpy.array([3, 5], numpy.uint64)))
"""

# No user, not even root, can create a file in there.
FORBIDDEN = "/dev/null/cache"


# From here on a write to a file fails, as on a full disk; a pipe takes it.
FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"


def run(prelude: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Compile and call one function in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", prelude + CODE],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_writable_cache_folder_is_used_without_a_word(tmp_path: Path) -> None:
    """Otherwise every process compiles again, or a healthy set-up shows warnings."""
    done = run(NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert (done.stdout, done.stderr) == ("4\n", "")
    assert list(tmp_path.rglob("*.nbc"))


def test_an_unwritable_cache_folder_is_a_warning(tmp_path: Path) -> None:
    """Otherwise a job crashes at import on a machine with a read-only file system."""
    done = run(NUMBA_CACHE_DIR=FORBIDDEN, TMPDIR=str(tmp_path))
    assert done.stdout == "4\n"
    assert FORBIDDEN in done.stderr
    assert list(tmp_path.rglob("*.nbc"))


def test_what_an_unwritable_cache_folder_holds_is_used(tmp_path: Path) -> None:
    """Otherwise each cold start pays again for the compile that an image paid for when built."""
    from outlast.kernel.nth_prime import jit

    built = tmp_path / "built"
    assert run(NUMBA_CACHE_DIR=str(built)).stderr == ""
    jit._copy(built, tmp_path / "copied")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "copied").rglob("*.nb?")}
    assert before
    assert run(NUMBA_CACHE_DIR=str(tmp_path / "copied")).stdout == "4\n"
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_cache_is_compiled_anew_and_mended(
    tmp_path: Path, kind: str, content: bytes
) -> None:
    """Every job of a machine would fail for good after its disk was full once."""
    cache = tmp_path / "cache"
    assert run(NUMBA_CACHE_DIR=str(cache)).stdout == "4\n"
    for file in cache.rglob(f"*.{kind}"):
        file.write_bytes(content)
    damaged = run(NUMBA_CACHE_DIR=str(cache))
    assert damaged.stdout == "4\n"
    assert damaged.stderr.count("UserWarning: damaged machine code is compiled again") == 1
    assert (mended := run(NUMBA_CACHE_DIR=str(cache))).stdout == "4\n"
    assert mended.stderr == ""


def test_a_disk_that_takes_no_bytes_costs_a_warning_and_no_job(tmp_path: Path) -> None:
    """A file can be created on a full disk, so the folder looks as if it could be written."""
    done = run(prelude=FULL_DISK, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert done.stdout == "4\n"
    assert done.stderr.count("UserWarning: machine code is not kept") == 1


def test_a_temporary_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    """Otherwise another user of the machine can slip in machine code of theirs."""
    open_to_all = tmp_path / f"outlast-numba-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    done = run(NUMBA_CACHE_DIR=FORBIDDEN, TMPDIR=str(tmp_path))
    assert done.stdout == "4\n"
    assert "compiling again" in done.stderr
    assert not list(tmp_path.rglob("*.nbc"))
