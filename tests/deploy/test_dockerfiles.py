"""The Dockerfiles: one base, no root, no shell, everything pinned."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.deploy.files import DEPLOY, ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
REQUIREMENTS = sorted(path.name for path in DEPLOY.glob("requirements*.txt"))
PINNED = re.compile(r"([\w.-]+)==[\w.]+((?: --hash=sha256:[0-9a-f]{64})+)")


def shared(dockerfile: Path) -> str:
    """Return the part that all have."""
    return dockerfile.read_text().partition("# ---- From here")[2].partition("# ---- The end")[0]


def pins(name: str) -> dict[str, str]:
    """Return the packages of a requirements file by their names, and their hashes."""
    text = re.sub(r" \\\n +", " ", (DEPLOY / name).read_text())
    lines = [line for line in text.splitlines() if line[0] != "#"]
    pins = [PINNED.fullmatch(line) for line in lines]
    assert all(pins), "without a hash it may be another file tomorrow"
    return {normal(match[1]): match[2] for match in pins if match}


def normal(name: str) -> str:
    """Return the one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_there_is_one_for_each_runtime():
    """The tests below look at these."""
    assert [path.stem for path in DOCKERFILES] == ["gpu", "lambda", "runpod", "worker"]


def test_they_share_their_first_stages():
    """A mend in one would be missing in the others, and Docker would build all four whole."""
    assert len({shared(path) for path in DOCKERFILES}) == 1
    assert "outlast warmup" in shared(DOCKERFILES[0])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_the_process_is_not_root_and_gets_its_signals(path: Path):
    """A shell between Docker and the worker would swallow SIGTERM."""
    last = path.read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert re.search(r'^CMD \["', last, re.MULTILINE)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_only_what_has_a_known_hash_is_installed(path: Path):
    """A package that was replaced on its index would run in every worker."""
    installs = re.findall(r"pip install (.*?)(?: \\)?\n", path.read_text())
    names = [re.search(r"-r deploy/(\S+)", line) for line in installs]
    ours = ["/wheels/*.whl && outlast warmup"]
    ours += ["/wheels/train_text-*.whl"] * (path.stem == "gpu")
    assert [line for line, name in zip(installs, names, strict=True) if name is None] == ours
    hashed = [line for line in installs if line not in ours]
    assert all("--require-hashes --only-binary :all:" in line for line in hashed)
    assert {name[1] for name in names if name} <= set(REQUIREMENTS)
    assert "--no-build-isolation" in path.read_text(), "else pip fetches the newest hatchling"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_init_is_the_first_process_except_on_lambda(path: Path):
    """Kernels that leave processes behind would use up the pids of their container."""
    entry = re.findall(r"^ENTRYPOINT (.+)$", path.read_text(), re.MULTILINE)
    assert entry == ([] if path.stem == "lambda" else ['["/usr/bin/tini", "-s", "--"]'])


def test_every_package_is_pinned_and_none_is_missing():
    """An image built tomorrow would hold what nobody tested, or no compiler for large primes."""
    base, sdk = pins("requirements.txt"), pins("requirements-runpod.txt")
    cuda = pins("requirements-gpu.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["gmp"], *extras["primes"], *extras["dashboard"]]
    required = {normal(re.split(r"[<>=~\[]", line)[0]) for line in lines}
    assert required <= set(base)
    assert "hatchling" in pins("requirements-build.txt")
    assert "runpod" in sdk
    assert {"torch", "nvidia-cublas", "triton"} <= set(cuda)
    assert not set(base) & set(sdk)
    assert not (set(base) | set(sdk)) & set(cuda), "pip refuses what is asked for twice"
