"""The kernel `train-text`. torch is imported where it is used: a submitter needs none."""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

from outlast import Kernel, Resources, UnknownKernel

from train_text.models import TrainParams, TrainResult, TrainState
from train_text.schedule import learning_rate

# What NVIDIA's driver shows to programs, also in a container and in Windows' Linux.
GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))


class TrainText(Kernel[TrainParams, TrainState, TrainResult]):
    """A small transformer that learns to write text, character by character."""

    name = "train-text"
    Params, State, Result = TrainParams, TrainState, TrainResult

    def run(
        self, params: TrainParams, state: TrainState | None, resources: Resources
    ) -> Generator[TrainState, None, TrainResult]:
        """Yield after each step; `resources.threads` is not used, as sums would depend on it."""
        from train_text.training import Training, settings

        with settings(params):
            training = Training(params, state)
            del state  # The training has its own copy, and this one may be gigabytes.
            while training.step < params.steps:
                training.advance()
                yield training.state()
            return training.result()

    def progress(self, params: TrainParams, state: TrainState) -> float:
        """Return the share of the steps that are done."""
        return state.step / params.steps

    def metrics(self, params: TrainParams, state: TrainState) -> dict[str, float]:
        """Return what a person wants to watch: the loss and the learning rate of the last step."""
        return {"loss": state.loss, "rate": learning_rate(params, state.step - 1)}

    def require(self, params: TrainParams) -> None:
        """Leave the job to other workers where torch is missing, or the GPU that it asks for."""
        if find_spec("torch") is None:
            raise UnknownKernel(
                "train-text needs torch, which is not installed here: "
                "pip install 'train-text[torch]'"
            )
        if params.device == "cuda" and not any(path.exists() for path in GPU_FILES):
            raise UnknownKernel("this job of train-text needs an NVIDIA GPU, and there is none")

    def prepare(self, params: TrainParams | None) -> None:
        """Import torch and do a first step, on the job's device: seconds that no slice pays for."""
        from train_text.training import warm_up

        warm_up("cpu" if params is None else params.device)
