"""The models of the kernel: what a job is given, what it must remember, its result."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from outlast import Array, Model
from pydantic import Field, model_validator


class TrainParams(Model):
    """A job's parameters. All of them are part of the answer, the number of threads too."""

    steps: Annotated[int, Field(ge=1, le=10**7, description="how many batches to train on")] = 1_000
    seed: Annotated[int, Field(ge=0, lt=2**32, description="of the text and the weights")] = 0
    characters: Annotated[int, Field(le=10**7, description="the length of the text")] = 100_000
    layers: Annotated[int, Field(ge=1, le=200)] = 2
    heads: Annotated[int, Field(ge=1, le=200)] = 4
    width: Annotated[int, Field(ge=1, le=2**14, description="numbers for each character")] = 32
    context: Annotated[int, Field(ge=1, le=2**14, description="characters in a row")] = 32
    batch: Annotated[int, Field(ge=1, le=2**14, description="rows in a step")] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    rate: Annotated[float, Field(gt=0, le=1, description="the highest learning rate")] = 0.003
    warm_up: Annotated[int, Field(ge=0, description="steps until the highest rate")] = 50
    threads: Annotated[
        int, Field(ge=1, le=256, description="of the CPU; sums depend on how they are divided")
    ] = 1
    device: Annotated[
        Literal["cpu", "cuda"], Field(description="where to compute; the answer depends on it")
    ] = "cpu"

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError("the width must be a multiple of the heads")
        if self.characters <= self.batch * self.context:
            raise ValueError("the text must be longer than a batch: characters > batch * context")
        return self


class TrainState(Model):
    """All that another worker needs to go on.

    The order of the rows in an epoch and the learning rate follow from the numbers here, so they
    are not in it.

    Attributes:
        step: how many steps are done.
        epoch: how often the text has been read to its end.
        position: how many rows of this epoch have been read.
        loss: that of the last step.
        losses: those of all steps, 0 for those to come.
        weights: the network's, by their names.
        moments: what AdamW keeps for each of them, in the same order.
        cpu_random: torch's generator of the CPU.
        gpu_random: that of the GPU, which dropout there uses; None: the CPU computes.
    """

    step: int
    epoch: int
    position: int
    loss: float
    losses: Array
    weights: dict[str, Array]
    moments: list[dict[str, Array]]
    cpu_random: Array
    gpu_random: Array | None


class TrainResult(Model):
    """A job's result.

    Attributes:
        loss: that of the last step.
        digest: sha256 of the weights; equal for equal trainings.
        losses: those of all steps.
        weights: the network's, by their names, for `load_state_dict`.
    """

    loss: float
    digest: str
    losses: Array
    weights: dict[str, Array]
