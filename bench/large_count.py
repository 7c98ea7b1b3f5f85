"""π(10^k) by parts, in processes that are killed at random: is it right, and what does it take?

    python -m bench.large_count [K] [PROCESSES] [KILLS]

Each part has a file with its state, written every few seconds, and in the end with what it comes
to. Whoever is killed, the next process goes on from there, as workers do.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from bisect import bisect_left
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.table import print_table
from outlast.kernel import Resources
from outlast.kernel.nth_prime import PrimeCount

KERNEL = PrimeCount()
PARTS = 40
SAVE_SECONDS = 5.0

PI = {
    12: 37607912018,
    16: 279238341033925,
    18: 24739954287740860,
    19: 234057667276344607,
    20: 2220819602560918840,
    21: 21127269486018731928,
    22: 201467286689315906290,
}
"""OEIS A006880."""


def main(k: int = 18, processes: int = 2, kills: int = 10) -> None:
    """Count the primes up to 10^k, and print what it took."""
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        died = _run(k, processes, kills, Path(folder))
        seconds = time.perf_counter() - begun
        plan = KERNEL.plan(KERNEL.Params(x=10**k))
        paths = [_path(Path(folder), i) for i in range(PARTS)]
        partials = [KERNEL.Partial.model_validate_json(path.read_text()) for path in paths]
        total = reduce(partial(KERNEL.combine, plan), partials)
        count = KERNEL.conclude(KERNEL.Params(x=10**k), plan, total).count
        stored = sum(path.stat().st_size for path in paths)
        peak = max(int(path.read_text()) for path in Path(folder).glob("*.peak"))
    used = os.times()
    row = (
        f"{count:,}",
        "yes" if count == PI.get(k) else "NO" if k in PI else "unknown",
        str(died),
        f"{used.children_user + used.children_system:.0f}",
        f"{seconds:.0f}",
        f"{peak >> 10}",
        f"{stored >> 10}",
    )
    head = ("π(x)", "right", "killed", "CPU s", "wall s", "MiB of a process", "KiB stored")
    print_table(f"x = 10^{k}, {PARTS} parts, {processes} processes", head, [row])


def _run(k: int, processes: int, kills: int, folder: Path) -> int:
    """Compute all parts; return how many processes were killed."""
    chance = random.Random(k)
    waiting, died = list(range(PARTS)), 0
    running: dict[int, subprocess.Popen[bytes]] = {}
    next_kill = time.perf_counter() + chance.uniform(2, 20)
    while waiting or running:
        while waiting and len(running) < processes:
            i = waiting.pop(0)
            running[i] = _start(k, i, folder)
        if died < kills and time.perf_counter() > next_kill:
            running[chance.choice(list(running))].kill()
            died += 1
            next_kill = time.perf_counter() + chance.uniform(2, 20)
        for i, process in list(running.items()):
            if process.poll() is not None:
                del running[i]
                if process.returncode:
                    waiting.insert(0, i)
        time.sleep(0.05)
    return died


def _start(k: int, i: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.large_count", str(k), str(i), str(folder)]
    return subprocess.Popen(command)


def _path(folder: Path, i: int) -> Path:
    return folder / f"{i}.partial"


def _compute(k: int, i: int, folder: Path) -> None:
    plan = KERNEL.plan(KERNEL.Params(x=10**k))
    pieces = range(KERNEL.pieces(plan))
    cuts = [bisect_left(pieces, j / PARTS, key=partial(KERNEL.share, plan)) for j in range(PARTS)]
    first, last = [*pairwise([*cuts, len(pieces)])][i]
    file, state = folder / f"{i}.state", None
    if file.exists():
        state = KERNEL.PartState.model_validate_json(file.read_text())
    steps = KERNEL.part(plan, first, last, state, Resources())
    saved = time.perf_counter()
    while True:
        try:
            state = next(steps)
        except StopIteration as end:
            _write(_path(folder, i), end.value.model_dump_json())
            break
        if time.perf_counter() > saved + SAVE_SECONDS:
            _write(file, state.model_dump_json())
            saved = time.perf_counter()
    # Not ru_maxrss: a new process starts with that of its parent.
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    (folder / f"{i}.peak").write_text(peak)


def _write(path: Path, text: str) -> None:
    whole = path.with_suffix(".new")
    whole.write_text(text)
    whole.replace(path)


if __name__ == "__main__":
    if sys.argv[3:] and not sys.argv[3].isdecimal():
        _compute(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:]))
