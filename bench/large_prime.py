"""p(10^K) by workers that share the job and are killed at random: is it right, what does it take?

    python -m bench.large_prime [K] [WORKERS] [KILLS] [FOLDER]

A job of `nth-prime` in a store of SQLite, and workers of one thread, as a user starts them. A
FOLDER keeps the store: the same command goes on with the job if this one is stopped.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL

from bench.table import print_table

PRIMES = {
    12: 29996224275833,
    15: 37124508045065437,
    16: 394906913903735329,
    17: 4185296581467695669,
    18: 44211790234832169331,
    19: 465675465116607065549,
    20: 4892055594575155744537,
    21: 51271091498016403471853,
    22: 536193870744162118627429,
}
"""OEIS A006988."""

JOB = "large-prime"
PART_SECONDS = 60
LOOK_SECONDS = 0.5
MOST_SECONDS_BETWEEN_KILLS = 60.0


def main(k: int = 18, workers: int = 2, kills: int = 10, folder: str | None = None) -> None:
    """Find the prime, and print what it took."""
    with tempfile.TemporaryDirectory() as temporary:
        _find(k, workers, kills, Path(folder or temporary))


def _find(k: int, workers: int, kills: int, folder: Path) -> None:
    os.environ |= {
        "OUTLAST_STORE": f"sqlite:///{folder / 'outlast.db'}",
        "OUTLAST_THREADS": "1",
        "OUTLAST_LOG_LEVEL": "ERROR",
    }
    options = [f"--job-id={JOB}-{k}", f"--parallel={workers}", f"--part-seconds={PART_SECONDS}"]
    _outlast("submit", "nth-prime", f"position={10**k}", *options)
    begun = time.perf_counter()
    peaks, died = _work(f"{JOB}-{k}", workers, kills)
    seconds, used = time.perf_counter() - begun, os.times()
    job = json.loads(_outlast("status", f"{JOB}-{k}", "--json"))
    prime = job["result"]["prime"]
    row = (
        f"{prime:,}",
        "yes" if prime == PRIMES.get(k) else "NO" if k in PRIMES else "unknown",
        str(died),
        f"{used.children_user + used.children_system:.0f}",
        f"{seconds:.0f}",
        f"{max(peaks.values()) >> 10}",
        f"{sum(path.stat().st_size for path in folder.iterdir()) >> 10}",
        f"{job['saves']:,}",
        f"{job['redone_seconds']:.0f}",
    )
    head = (
        "p",
        "right",
        "killed",
        "CPU s",
        "wall s",
        "MiB of a process",
        "KiB stored",
        "saves",
        "s redone",
    )
    print_table(f"p(10^{k}), {workers} workers", head, [row])


def _work(job: str, workers: int, kills: int) -> tuple[dict[int, int], int]:
    """Let workers do the job; return the most memory of each, in KiB, and how many were killed."""
    chance, peaks, died = random.Random(job), dict[int, int](), 0
    running = [_worker() for _ in range(workers)]
    end = subprocess.Popen(["outlast", "wait", job], stdout=DEVNULL, stderr=DEVNULL)
    next_kill = _next_kill(chance)
    try:
        while end.poll() is None:
            time.sleep(LOOK_SECONDS)
            for worker in running:
                with suppress(FileNotFoundError, IndexError):
                    peaks[worker.pid] = _peak(worker.pid)
            if died < kills and time.perf_counter() > next_kill:
                chance.choice(running).kill()
                died += 1
                next_kill = _next_kill(chance)
            running = [one if one.poll() is None else _worker() for one in running]
    finally:
        for process in (*running, end):
            process.terminate()
            process.wait()
    return peaks, died


def _worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["outlast", "worker"])


def _next_kill(chance: random.Random) -> float:
    return time.perf_counter() + chance.uniform(2, MOST_SECONDS_BETWEEN_KILLS)


def _peak(pid: int) -> int:
    # Not ru_maxrss: a new process starts with that of its parent.
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])


def _outlast(*words: str) -> str:
    return subprocess.run(["outlast", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:5])
