"""What stopping the kernels costs: latency, resuming, the state's size, memory and compiling."""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from bench.table import print_table
from outlast.kernel.nth_prime.gourdon import d, engine, parts
from outlast.kernel.nth_prime.gourdon.bounds import bounds_of, divide
from outlast.kernel.nth_prime.gourdon.kept import Kept
from outlast.kernel.nth_prime.gourdon.rows import build_rows
from outlast.kernel.nth_prime.gourdon.state import Counting
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.kernel.nth_prime.gourdon.parts import Divisions, Stretch

STOPS = 200
LARGE = (20, 22, 24)
LARGE_SECONDS = 2.0


def main() -> None:
    """Print all tables."""
    finish(engine.count(_beginning(10**12)))
    _latency()
    _large()
    _resuming()
    _memory()
    _compiling()


def _beginning(x: int) -> Counting:
    return Counting(divisions=(divide(x),))


def _latency() -> None:
    """The caller asks between any two yields; what it waits is the rest of the step, and close."""
    rows = []
    for k in (14, 15, 16, 17):
        for threads in (1, 2):
            waits, steps = _waits(10**k, threads)
            percentiles = statistics.quantiles(waits, n=100, method="inclusive")
            values = (percentiles[49], percentiles[98], max(waits), max(steps))
            rows.append([str(k), str(threads), *(f"{1000 * v:.1f}" for v in values)])
    print_table(
        f"Milliseconds from request to state, {STOPS // 4} random stops each",
        ["k of 10^k", "threads", "p50", "p99", "max", "longest step, CPU"],
        rows,
    )


def _waits(x: int, threads: int) -> tuple[list[float], list[float]]:
    """Run while requests to stop arrive at random moments.

    Return how long each one waited, and the CPU seconds of each step of the main thread.
    """
    waits: list[float] = []
    took: list[float] = []
    state = _beginning(x)
    chance = random.Random(x + threads)
    while len(waits) < STOPS // 4:
        steps = engine.count(state, threads)
        request = time.perf_counter() + chance.uniform(0, 0.1)
        cpu = time.thread_time()
        for reached in steps:
            took.append(time.thread_time() - cpu)
            state = reached
            if time.perf_counter() >= request:
                steps.close()
                waits.append(time.perf_counter() - request)
                break
            cpu = time.thread_time()
        else:
            state = _beginning(x)
    return waits, took


def _large() -> None:
    """The steps of parts that are too long to be run whole, and the tables they begin with."""
    engine.prepare(None)
    rows = []
    for k in LARGE:
        divisions = (divide(10**k),)
        windows = {0, bounds_of(divisions[0]).windows // 2}
        found: dict[str, list[tuple[float, float]]] = {}
        for stretch in parts.whole(divisions):
            if stretch.window in windows:
                found.setdefault(stretch.term, []).extend(_steps(divisions, stretch))
        for term, times in found.items():
            longest, tables = map(max, zip(*times, strict=True))
            rows.append([str(k), term, f"{1000 * longest:.0f}", f"{tables:.2f}"])
    print_table(
        "CPU time of one thread",
        ["k of 10^k", "term", "longest step, ms", "tables of a new process, s"],
        rows,
    )


def _steps(divisions: Divisions, stretch: Stretch) -> Iterator[tuple[float, float]]:
    """Yield (the longest step, the time to build all tables) from some places of a stretch on."""
    bounds, term = bounds_of(divisions[0]), engine.TERMS[stretch.term]
    for place in (0.0, 0.01, 0.3, 0.9):
        began = time.thread_time()
        finish(term.build(bounds, finish(build_rows(bounds)), stretch.window))
        tables = time.thread_time() - began
        first = stretch.begin + int(place * stretch.last)
        steps = engine.part(divisions, first, stretch.begin + stretch.last, None)
        took = [before := time.thread_time()]
        for _ in steps:
            took.append((now := time.thread_time()) - before)
            if now - took[0] > LARGE_SECONDS:
                break
            before = time.thread_time()
        steps.close()
        yield max(took[1:]), tables


def _resuming() -> None:
    """CPU time in slices over that of one run; each slice builds its tables again."""
    x = 10**16
    start = time.process_time()
    bounds = bounds_of(divide(x))
    finish(d.build(bounds, finish(build_rows(bounds)), 0))
    tables = time.process_time() - start
    whole = statistics.median(_in_slices(x, 10**9, warm=False) for _ in range(5))
    rows = [["1", f"{whole:.2f}", "1.00"]]
    for seconds, warm in ((whole / 20, True), (whole / 20, False), (50 * tables, False)):
        cpu = statistics.median(_in_slices(x, seconds, warm=warm) for _ in range(5))
        process = "the same process" if warm else "a new process each"
        rows.append([f"of {seconds:.2f} s, {process}", f"{cpu:.2f}", f"{cpu / whole:.2f}"])
    print_table(
        f"π(10^16) in slices; building the tables takes {tables:.3f} s",
        ["slices", "CPU s", "ratio"],
        rows,
    )


def _in_slices(x: int, seconds: float, *, warm: bool) -> float:
    """Return the CPU seconds of a run in slices of so many; tables are kept if `warm`."""
    state = _beginning(x)
    start, kept = time.process_time(), Kept()
    while True:
        if not warm:
            kept.forget()
        end = time.process_time() + seconds
        steps = engine.count(state, 1, kept)
        for reached in steps:
            state = reached
            if time.process_time() > end:
                steps.close()
                break
        else:
            return time.process_time() - start
        state = Counting.model_validate_json(state.model_dump_json())


def _memory() -> None:
    rows = []
    for k in (13, 15, 17):
        code = (
            "from pathlib import Path\n"
            "from outlast.kernel.nth_prime.gourdon import engine\n"
            "from outlast.kernel.nth_prime.gourdon.bounds import divide\n"
            "from outlast.kernel.nth_prime.gourdon.state import Counting\n"
            f"states = engine.count(Counting(divisions=(divide(10**{k}),)))\n"
            "largest = max(len(s.model_dump_json()) for s in states)\n"
            # Not ru_maxrss: a new process starts with that of its parent.
            "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
            "print(peak, largest)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        peak, state = map(int, done.stdout.split())
        rows.append([str(k), f"{peak / 1024:.0f}", str(state)])
    print_table(
        "Peak memory", ["k of 10^k", "MiB, interpreter and LLVM included", "state bytes"], rows
    )


def _compiling() -> None:
    rows = []
    for words in (["run", "nth-prime", "position=1e9"], ["warmup"]):
        with tempfile.TemporaryDirectory() as folder:
            first = _cpu_seconds(words, folder)
            again = min(_cpu_seconds(words, folder) for _ in range(5))
        rows.append([f"outlast {' '.join(words)}", f"{first:.1f}", f"{again:.2f}"])
    print_table(
        "With nothing compiled, and with all compiled",
        ["command", "first, CPU s", "again, CPU s"],
        rows,
    )


def _cpu_seconds(words: list[str], folder: str) -> float:
    """Return what a command takes whose machine code is kept in a folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "outlast", *words],
        env={**os.environ, "NUMBA_CACHE_DIR": folder, "HOME": folder},
        capture_output=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
