"""How fast the kernels `prime-count` and `nth-prime` are, beside what others use.

Each contender has a process of its own, warm and with its number of threads; they take turns, so
that a busy machine slows all of them alike. Times are medians of ROUNDS calls. The kernel builds
its tables anew in each.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

from bench.table import print_table

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5


def main() -> None:
    """Print all tables."""
    is_there = shutil.which("primecount") is not None
    if not is_there:
        print("π is left out: no primecount on the PATH; Debian has it as primecount-bin")
    else:
        version = subprocess.run(["primecount", "--version"], capture_output=True, check=True)
        print(version.stdout.decode().splitlines()[0])
    for threads in (1, 2) if is_there else ():
        _compare(
            "π(10^k)",
            (12, 13, 14, 15, 16, 17),
            threads,
            {"kernel": our_count, "primecount": their_count},
        )
    rivals = {"kernel": our_prime, "primecountpy": their_prime}
    for threads in (1, 2):
        _compare("p(10^k)", (6, 7, 9, 12, 13, 14), threads, rivals)
    _compare("p(10^k), sympy", (5, 6), 1, {"kernel": our_prime, "sympy": sympy_prime})
    _compare("p(10^k), the naive loop", (4,), 1, {"kernel": our_prime, "naive": naive_prime})
    _command()


def _compare(
    title: str,
    exponents: tuple[int, ...],
    threads: int,
    contenders: dict[str, Callable[[int, int], int]],
) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    pools = {name: ProcessPoolExecutor(1, mp_context=get_context("spawn")) for name in contenders}
    first = next(iter(contenders))
    rows = []
    for k in exponents:
        found: dict[str, list[tuple[int, float, float]]] = {name: [] for name in contenders}
        for i in range(ROUNDS + 1):
            for name, call in contenders.items():
                measured = pools[name].submit(timed, call, 10**k, threads).result()
                if i:  # the first call compiles, and fills caches
                    found[name].append(measured)
        assert len({value for runs in found.values() for value, _, _ in runs}) == 1
        cpu = {name: statistics.median(run[1] for run in runs) for name, runs in found.items()}
        wall = {name: statistics.median(run[2] for run in runs) for name, runs in found.items()}
        row = [str(k)]
        for name in contenders:
            row += [f"{cpu[name]:.4f}", f"{wall[name]:.4f}"]
            if name != first:
                row += [f"{cpu[first] / cpu[name]:.2f}", f"{wall[first] / wall[name]:.2f}"]
        rows.append(row)
    head = ["k"]
    for name in contenders:
        head += [f"{name} CPU s", f"{name} wall s"]
        if name != first:
            head += ["CPU ratio", "wall ratio"]
    print_table(f"{title}, {threads} thread(s)", head, rows)
    for pool in pools.values():
        pool.shutdown()


def timed(call: Callable[[int, int], int], n: int, threads: int) -> tuple[int, float, float]:
    """Return (result, CPU seconds of this process and its children, wall seconds)."""
    cpu, wall = _cpu(), time.perf_counter()
    result = call(n, threads)
    return result, _cpu() - cpu, time.perf_counter() - wall


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def our_count(x: int, threads: int) -> int:
    """Count by the kernel `prime-count`."""
    from outlast.kernel import Resources
    from outlast.kernel.nth_prime import PrimeCount
    from outlast.kernel.nth_prime.sieve.steps import finish

    kernel = PrimeCount()
    return finish(kernel.run(kernel.Params(x=x), None, Resources(threads=threads))).count


def their_count(x: int, threads: int) -> int:
    """Count by the program `primecount`."""
    command = [shutil.which("primecount"), str(x), f"-t{threads}"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


def our_prime(n: int, threads: int) -> int:
    """Find the prime by the kernel `nth-prime`."""
    from outlast.kernel import Resources
    from outlast.kernel.nth_prime import NthPrime
    from outlast.kernel.nth_prime.sieve.steps import finish

    kernel = NthPrime()
    return finish(kernel.run(kernel.Params(position=n), None, Resources(threads=threads))).prime


def their_prime(n: int, threads: int) -> int:  # noqa: ARG001 - it obeys OMP_NUM_THREADS
    """Find the prime by the package `primecountpy`."""
    import primecountpy

    return primecountpy.nth_prime(n)


def sympy_prime(n: int, threads: int) -> int:  # noqa: ARG001 - it has one
    """Find the prime by sympy."""
    import sympy

    return int(sympy.prime(n))


def naive_prime(n: int, threads: int) -> int:  # noqa: ARG001 - it has one
    """Find the prime by dividing each number by all primes that were found before."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < n:
        if all(candidate % p for p in primes):
            primes.append(candidate)
        candidate += 1
    return primes[-1]


def _command() -> None:
    """Print the wall time of a whole process for p(10^9): interpreter, imports and computing."""
    code = "from bench.prime_speed import our_prime; print(our_prime(10**9, 1))"
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    print(f"\np(10^9) in a new process, warm cache: {statistics.median(seconds):.2f} s wall")


if __name__ == "__main__":
    main()
