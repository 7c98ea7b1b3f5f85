"""What states of megabytes and gigabytes cost: time, memory, and bytes that are sent.

Each job has a slice in a worker process that is stopped by SIGTERM, and one in another process,
which loads the state. The stores are those of the tests, as they are or behind a line of 100 MB a
second. Memory is the peak beyond that of the worker before the slice.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.bucket import STORE, create_bucket
from bench.large_state.kernel import ARRAYS, MIB, Drifting
from bench.large_state.worker import JOB
from bench.table import print_table
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers import open_register
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECONDS, RESUMED_SECONDS = 60.0, 1.0
INTERVAL = 0.35  # of a slice: two saves fall due in it, and none near its end
SIZES = (1, 16, 64, 256, 1024)
STORES = ("SQLite", "Redis", "S3")
LINES = (0.0, 100e6)  # bytes a second; 0: no limit

GOALS = (
    "goals: at 256 MiB at least 95.0% kept; peak memory at most 2.20 times the state; of one array "
    "in 50 that changes only that is sent; SIGTERM to durable within state / line + 1 s"
)
HEAD = (
    "MiB, store",
    "saves",
    "s a save",
    "kernel halts, ms a save",
    "kept between opening and last save",
    "steps longer while sending",
    "lost of the slice",
    "MiB sent by a later save",
    "SIGTERM to durable, s",
    "at most",
    "opening in a new process, s",
    "peak memory / state",
    "in a new process",
)


class Cell(NamedTuple):
    """A state of so many MiB in a store behind a line, of whose arrays so many change."""

    mib: int
    store: str
    line: float
    changing: int


def main(
    seconds: float = SECONDS,
    sizes: Sequence[int] = SIZES,
    stores: Sequence[str] = STORES,
    lines: Sequence[float] = LINES,
) -> None:
    """Print a table for each line, and one for states of which one array changes."""
    print(GOALS)
    for line, changing in [*((line, ARRAYS) for line in lines), (0.0, 1)]:
        title = f"{changing} of {ARRAYS} arrays change, slices of {seconds:g} s"
        title += f", {line / 1e6:g} MB/s" if line else ""
        cells = [Cell(mib, store, line, changing) for mib in sizes for store in stores]
        print_table(title, HEAD, (_row(cell, seconds) for cell in cells))


def _row(cell: Cell, seconds: float) -> tuple[str, ...]:
    size = cell.mib * MIB
    with _store(cell.store) as url:
        _submit(url, cell)
        first = _worked(url, cell, seconds)
        resumed = _worked(url, cell, RESUMED_SECONDS)
    later = (first["sent_bytes"] - size) / max(first["all_saves"] - 1, 1)
    most = f"{size / cell.line + 1:.2f}" if cell.line else ""
    return (
        f"{cell.mib:,}, {cell.store}",
        f"{first['saves']}",
        f"{first['save']:.2f}",
        f"{1e3 * first['still']:.0f}",
        f"{first['kept']:.1%}",
        f"{first['slower']:.1%}",
        f"{first['lost']:.1%}",
        f"{later / MIB:.2f}",
        f"{first['stop']:.2f}",
        most,
        f"{resumed['opening']:.2f}",
        f"{first['peak_bytes'] / size:.2f}",
        f"{resumed['peak_bytes'] / size:.2f}",
    )


def _submit(url: str, cell: Cell) -> None:
    params = {"mib": cell.mib, "changing": cell.changing}
    record = Record(job_id=JOB, kernel=Drifting.name, params=params, created_at=0, updated_at=0)
    with closing(open_register(url)) as register:
        JobStore(register).submit(record)


def _worked(url: str, cell: Cell, seconds: float) -> dict[str, Any]:
    """Return what a worker tells of the next slice."""
    words = [
        sys.executable,
        "-m",
        "bench.large_state.worker",
        url,
        seconds,
        INTERVAL * seconds,
        cell.line,
    ]
    done = subprocess.run([*map(str, words)], check=True, stdout=subprocess.PIPE, text=True)
    costs: dict[str, Any] = json.loads(done.stdout)
    return costs


@contextmanager
def _store(name: str) -> Iterator[str]:
    """Yield the URL of an empty store, whose place for arrays is in the environment."""
    os.environ.pop("OUTLAST_BLOBS", None)
    with tempfile.TemporaryDirectory() as folder:
        if name == "SQLite":
            yield f"sqlite:///{folder}/outlast.db"
        elif name == "Redis":
            os.environ["OUTLAST_BLOBS"] = folder
            with servers.valkey() as server:
                yield f"{server.url}/0"
        else:
            with servers.seaweedfs() as server:
                create_bucket(server)
                yield STORE


def _options() -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m bench.large_states", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each slice")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="in MiB")
    parser.add_argument("--stores", choices=STORES, nargs="+", default=STORES)
    parser.add_argument("--lines", type=float, nargs="+", default=LINES, help="in bytes a second")
    return vars(parser.parse_args())


if __name__ == "__main__":
    main(**_options())
