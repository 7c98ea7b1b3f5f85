"""Outlast without an extra, as `pip install outlast` leaves it: no compiler and no arrays."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.process import OUTLAST, Ended
from tests.new_user import LIMIT_SECONDS, bare_environment_in, shell

if TYPE_CHECKING:
    from pathlib import Path

REFUSAL = (
    "outlast: nth-prime: a position above 10,000,000 needs numba, which is not installed here: "
    "pip install 'outlast[primes]'\n"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a new user's."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    """Their virtual environment, without a compiler."""
    found = bare_environment_in(home)
    for package in ("numba", "numpy", "gmpy2", "jinja2"):
        assert run(found, "python", "-c", f"import {package}").code == 1, package
    return found


def run(environment: dict[str, str], *words: str) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_it_answers_up_to_the_limit(home: Path, environment: dict[str, str]) -> None:
    """A person who tries Outlast would have to install a compiler first."""
    told = shell(
        "outlast run nth-prime position=1_000_000\n"
        "outlast run nth-prime position=10_000_000 --isolate --slice-seconds 0.1\n"
        "outlast run prime-count x=200_000_000\n"
        "outlast run lucas-lehmer exponent=2203\n",
        home,
        environment,
    )
    assert told.splitlines()[:3] == [
        "position=1000000 prime=15485863",
        "position=10000000 prime=179424673",
        "x=200000000 count=11078937",
    ]
    assert "prime=true" in told.splitlines()[3]


@pytest.mark.parametrize("options", [(), ("--isolate",)])
def test_beyond_it_says_what_to_install(
    environment: dict[str, str], options: tuple[str, ...]
) -> None:
    """A person would be shown a traceback, or a job that fails minutes later."""
    words = ("outlast", "run", "nth-prime", "position=100_000_000", "--job-id", "no", *options)
    assert run(environment, *words) == (2, "", REFUSAL)
    assert run(environment, "outlast", "status", "no").code == 1  # nothing was stored


def test_a_result_that_is_there_is_printed(environment: dict[str, str]) -> None:
    """Who has the store but not the compiler could not ask for the result by the same command."""
    words = ("nth-prime", "position=20_000_000", "--job-id", "done")
    assert run(environment, OUTLAST, "run", *words).code == 0
    done = run(environment, "outlast", "run", *words)
    assert (done.code, done.out) == (0, "position=20000000 prime=373587883\n")


def test_what_only_looks_at_kernels_works(home: Path, environment: dict[str, str]) -> None:
    """A person who has workers elsewhere could not see what these would do."""
    told = shell("outlast kernels\noutlast warmup\noutlast doctor --help\n", home, environment)
    assert "nth-prime  The n-th prime" in told
    assert "nth-prime  ready after" in told
    estimated = shell("outlast estimate nth-prime position=1e17 --json", home, environment)
    assert json.loads(estimated)["estimate"]["seconds"] > 10
    measured = run(environment, "outlast", "estimate", "nth-prime", "position=5", "--calibrate")
    assert measured == (2, "", REFUSAL)


def test_it_submits_what_others_can_run(environment: dict[str, str]) -> None:
    """A client would need the compiler of its workers, or a worker without it fail their jobs."""
    assert run(environment, "outlast", "submit", "nth-prime", "position=2e7", "--job-id", "a").out
    left = run(environment, "outlast", "worker", "--max-idle-seconds", "0.1")
    assert left.code == 0
    assert REFUSAL.replace("outlast: ", "job a: ") in left.err
    status = json.loads(run(environment, "outlast", "status", "a", "--json").out)
    assert (status["status"], status["slices"]) == ("queued", 0)
    assert REFUSAL.replace("outlast: ", "cannot run it: ").strip() in status["error"]
    run(environment, OUTLAST, "worker", "--max-slices", "1", "--max-idle-seconds", "60")
    assert run(environment, "outlast", "result", "a").out == "position=20000000 prime=373587883\n"
