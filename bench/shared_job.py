"""How much sooner a job ends that two processes share, and what the sharing costs.

`outlast run` with one thread, then with `--processes 1` and `2`, each in a store of its own.
What is compiled was compiled before. Compare the ratios, on a machine with two free cores.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.table import print_table
from tests.new_user import ROOT, environment_in, shell

ROUNDS = 3
PICTURES, DRAWN, SIDE = 4_000, 100, 700
PART_SECONDS = "5"


class Run(NamedTuple):
    """What one run took, and its result."""

    seconds: float
    cpu_seconds: float
    result: object


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = environment_in(folder)
        shell(f"pip install --quiet '{ROOT / 'examples/batch'}'", folder, environment)
        _draw(folder / "pictures")
        batch = ["call=batch_items.functions:thumbnail", f"folder={folder / 'pictures'}"]
        rows = [
            _row("π(10^17)", ["prime-count", f"x={10**17}"], environment, folder),
            _row("π(10^18)", ["prime-count", f"x={10**18}"], environment, folder),
            _row("p(10^17)", ["nth-prime", f"position={10**17}"], environment, folder),
            _row(f"batch of {PICTURES:,} pictures", ["batch", *batch], environment, folder),
        ]
    print_table(
        f"One job on one process and on two, parts of about {PART_SECONDS} s, medians of {ROUNDS}",
        ("", "alone, s", "one, s", "two, s", "alone / two", "CPU: one / alone", "CPU: two / alone"),
        rows,
    )


def _draw(folder: Path) -> None:
    """Write pictures of a kind that the example reads; some are the same file by many names."""
    folder.mkdir()
    for number in range(DRAWN):
        pixels = bytes((number + i * i) % 256 for i in range(256)) * (SIDE * SIDE // 256 + 1)
        head = b"P5 %d %d 255\n" % (SIDE, SIDE)
        (folder / f"{number:04}.pgm").write_bytes(head + pixels[: SIDE * SIDE])
    for number in range(DRAWN, PICTURES):
        (folder / f"{number:04}.pgm").hardlink_to(folder / f"{number % DRAWN:04}.pgm")


def _row(name: str, words: list[str], environment: dict[str, str], folder: Path) -> tuple[str, ...]:
    ways: list[list[str]] = [[], ["--processes", "1"], ["--processes", "2"]]
    runs: list[list[Run]] = [[], [], []]
    _run(words, environment, folder)  # compiles
    for _ in range(ROUNDS):
        for way, found in zip(ways, runs, strict=True):
            options = [*way, "--part-seconds", PART_SECONDS] if way else []
            found.append(_run([*words, *options], environment, folder))
    if len({json.dumps(run.result) for found in runs for run in found}) != 1:
        raise SystemExit(f"{name}: the results differ")
    alone, one, two = (statistics.median(run.seconds for run in found) for found in runs)
    cpu = [statistics.median(run.cpu_seconds for run in found) for found in runs]
    return (
        name,
        *(f"{seconds:.1f}" for seconds in (alone, one, two)),
        f"{alone / two:.2f}",
        f"{cpu[1] / cpu[0]:.2f}",
        f"{cpu[2] / cpu[0]:.2f}",
    )


def _run(words: list[str], environment: dict[str, str], folder: Path) -> Run:
    """Run a job in a store of its own, one thread a process."""
    store = tempfile.mkdtemp(dir=folder)
    own = environment | {"OUTLAST_STORE": f"sqlite:///{store}/outlast.db", "OUTLAST_THREADS": "1"}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        ["outlast", "run", *words, "--json"],
        env=own,
        check=True,
        capture_output=True,
    )
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu, json.loads(done.stdout)["result"])


if __name__ == "__main__":
    main()
