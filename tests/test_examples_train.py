"""examples/train as a user has it: installed beside Outlast, tested, and trained in slices."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.new_user import ROOT, environment_in, shell

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples/train"
LIMIT_SECONDS = 120

if find_spec("torch") is None and not os.environ.get("CI"):
    pytest.skip("no torch for the example's tests: run `make test`", allow_module_level=True)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's virtual environment, in which the example is installed."""
    home = tmp_path_factory.mktemp("home")
    environment = environment_in(home)
    shell(f"pip install --quiet '{EXAMPLE}'", home, environment)
    return environment


def slices(
    folder: Path, environment: dict[str, str], steps: list[int], **params: object
) -> list[str]:
    """Train in slices of so many steps, each in its own process; return the digest and losses."""
    folder.mkdir()
    few = {"steps": 24, "characters": 700, "batch": 4, "warm_up": 4}
    answer = ""
    for seed, count in enumerate(steps):
        answer = subprocess.run(
            ["python", "-m", "tests.training_slice", folder, str(count), json.dumps(few | params)],
            env=environment | {"PYTHONHASHSEED": str(seed + 1)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=True,
        ).stdout
    return answer.split()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_loss_curve_is_the_same_cut_and_uncut(
    tmp_path: Path, environment: dict[str, str], threads: int
) -> None:
    """A person could not trust a training that was stopped, or repeat one."""
    whole = slices(tmp_path / "whole", environment, [99], threads=threads)
    assert len(set(whole)) == 1 + 24, "the digest and losses of 24 steps"
    assert slices(tmp_path / "cut", environment, [7, 99], threads=threads) == whole


def test_its_own_tests_pass(environment: dict[str, str]) -> None:
    """A user would begin with an example that does not work."""
    assert "passed" in shell("pytest -q -p no:cacheprovider", EXAMPLE, environment)


def test_the_hub_asks_for_a_training_that_there_is(environment: dict[str, str]) -> None:
    """The listing of the image for GPUs would fail its own tests."""
    tests = json.loads((ROOT / "deploy/gpu/.runpod/tests.json").read_text())["tests"]
    (asked,) = [test["input"] for test in tests if "kernel" in test["input"]]
    code = "import sys; from train_text.models import TrainParams; "
    code += "print(TrainParams.model_validate_json(sys.argv[1]))"
    told = subprocess.run(
        ["python", "-c", code, json.dumps(asked["params"])],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked["kernel"] == "train-text"
    assert "device='cuda'" in told.stdout


def test_a_submitter_needs_no_torch(environment: dict[str, str]) -> None:
    """`outlast kernels` would take seconds, and a laptop need gigabytes of CUDA to submit."""
    code = "import sys; from train_text import TrainText; sys.exit('torch' in sys.modules)"
    subprocess.run(["python", "-c", code], env=environment, check=True)
    assert "train-text" in shell("outlast kernels", ROOT, environment)
