"""examples/train as a user has it: installed beside Outlast, tested, and trained in slices."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.status import Status
from tests import training
from tests.new_user import ROOT, shell
from tests.training import EXAMPLE, Site, environment_with_example, uncut

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server
    from tests.training import Trained

# A few seconds of computing, and a moment of it.
SMALL = {"steps": 300}
TINY = {"steps": 24, "characters": 700, "batch": 4, "warm_up": 4}

if find_spec("torch") is None and not os.environ.get("CI"):
    pytest.skip("no torch for the example's tests: run `make test`", allow_module_level=True)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's virtual environment, in which the example is installed."""
    return environment_with_example(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def whole(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The training that nothing stops, without a worker."""
    trained = uncut(tmp_path_factory.mktemp("whole"), environment, SMALL)
    assert trained is not None
    assert len(set(trained.losses)) == SMALL["steps"]
    return trained


@pytest.mark.chaos
def test_a_loss_curve_on_several_threads_is_the_same_cut_and_uncut(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A person could not trust a training that was stopped, or repeat one."""
    params = TINY | {"threads": 2}
    whole = uncut(tmp_path / "whole", environment | {"PYTHONHASHSEED": "1"}, params)
    assert whole is not None
    assert len(set(whole.losses)) == TINY["steps"]
    assert uncut(tmp_path / "cut", environment, params, steps=7) is None
    assert uncut(tmp_path / "cut", environment | {"PYTHONHASHSEED": "2"}, params) == whole


@pytest.mark.parametrize(
    "isolate", ["false", pytest.param("true", marks=pytest.mark.chaos)], ids=["here", "isolated"]
)
def test_in_short_slices(
    tmp_path: Path, environment: dict[str, str], whole: Trained, isolate: str
) -> None:
    """A training would have other losses for a setting that says how long a slice is."""
    site = Site.on_a_disk(environment, tmp_path, OUTLAST_ISOLATE=isolate)
    training.train_here(site, SMALL, slice_seconds=1)
    assert site.trained() == whole
    assert site.status()["slices"] > 1


@pytest.mark.chaos
def test_when_a_worker_is_killed(
    tmp_path: Path, environment: dict[str, str], whole: Trained
) -> None:
    """A training on spot machines would end with other weights, or not at all."""
    site = Site.on_a_disk(environment, tmp_path, OUTLAST_CHECKPOINT_SECONDS="0.2")
    training.train_with_a_kill(site, SMALL)
    assert site.trained() == whole
    assert site.record().usage.slices_begun == 2


@pytest.mark.chaos
def test_when_a_worker_is_stopped(
    tmp_path: Path, environment: dict[str, str], whole: Trained
) -> None:
    """A machine that is taken away with notice would cost the steps since its last save."""
    site = Site.on_a_disk(environment, tmp_path)
    saved, stopped = training.train_with_a_stop(site, SMALL)
    assert stopped.status is Status.QUEUED
    assert saved < stopped.usage.steps < SMALL["steps"]
    assert json.loads(stopped.checkpoints[0].state)["step"] == stopped.usage.steps
    usage = site.record().usage
    assert (usage.steps, usage.redone_seconds) == (SMALL["steps"], 0)
    assert site.trained() == whole


@pytest.mark.chaos
def test_on_lambda(
    tmp_path: Path,
    environment: dict[str, str],
    whole: Trained,
    seaweedfs: Server,
    ministack: Server,
) -> None:
    """A training that moves to Lambda would have other losses there, or never end."""
    site = training.with_s3(environment, tmp_path, seaweedfs, ministack)
    training.train_on_lambda(site, SMALL, ministack)
    assert site.trained() == whole


@pytest.mark.chaos
def test_on_runpod(
    tmp_path: Path,
    environment: dict[str, str],
    whole: Trained,
    valkey_server: Server,
    ministack: Server,
) -> None:
    """A training that moves to RunPod would have other losses there, or never end."""
    wish = {"OUTLAST_SLICE_SECONDS": "1"}
    site = training.with_redis(environment, tmp_path, valkey_server, ministack, **wish)
    training.train_on_runpod(site, SMALL)
    assert site.trained() == whole


@pytest.mark.chaos
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
