"""The training itself: what torch is needed for, and how a state becomes one again."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from outlast import MachineFault, NonRetryable
from torch import Tensor
from torch.nn.functional import cross_entropy

from train_text.models import TrainParams, TrainResult, TrainState
from train_text.network import Network
from train_text.schedule import learning_rate
from train_text.text import ALPHABET, make_text

LARGEST_GRADIENT = 1.0
"""Longer gradients are cut to this length."""


def open_gpu() -> None:
    """Make this process ready to compute on the GPU: its first use takes seconds.

    Raises:
        MachineFault: torch cannot use the GPU here.
    """
    # cuBLAS reads it once, when it is first used, and only then always sums in one order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        torch.zeros(1, device="cuda")
        torch.cuda.synchronize()
    except (RuntimeError, AssertionError) as error:  # the latter from a torch without CUDA
        raise MachineFault(f"torch {torch.__version__} cannot use a GPU: {error}") from error


@contextmanager
def settings(params: TrainParams) -> Iterator[None]:
    """Have torch compute the same each time, and give the process back as it was."""
    is_on_gpu = params.device == "cuda"
    if is_on_gpu:
        open_gpu()
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    with torch.random.fork_rng([torch.cuda.current_device()] if is_on_gpu else []):
        try:
            torch.set_num_threads(params.threads)
            torch.use_deterministic_algorithms(True)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(mode)


@cache
def warm_up(device: str) -> None:
    """Do a step of a tiny training: the first one of a process takes a second or more.

    torch loads its compiler for the first optimizer, and a GPU's kernels when they are first used.

    Raises:
        MachineFault: torch cannot use the GPU here.
    """
    tiny = {"steps": 1, "characters": 100, "context": 4, "batch": 4, "width": 4, "device": device}
    params = TrainParams.model_validate(tiny)
    with settings(params):
        Training(params, None).advance()


class Training:
    """A network in training; between two steps, `state` has all of it.

    Attributes:
        step: how many steps are done.
    """

    def __init__(self, params: TrainParams, state: TrainState | None) -> None:
        """Go on from `state`; None: start."""
        self._params = params
        torch.manual_seed(params.seed)  # of the CPU and the GPU
        network = Network(
            characters=len(ALPHABET),
            context=params.context,
            width=params.width,
            layers=params.layers,
            heads=params.heads,
            dropout=params.dropout,
        )
        self._network = network.to(params.device)
        self._optimizer = torch.optim.AdamW(self._network.parameters(), lr=params.rate)
        text = make_text(params.seed, params.characters)
        self._text = torch.tensor([ALPHABET.index(c) for c in text], device=params.device)
        self._losses = np.zeros(params.steps, np.float32)
        self.step = self._epoch = self._position = 0
        if state is not None:
            self._load(state)
        self._order = self._shuffled()

    def advance(self) -> None:
        """Do one step.

        Raises:
            NonRetryable: the loss is not finite any more.
        """
        inputs, targets = self._batch()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._params, self.step)
        self._optimizer.zero_grad()
        loss = cross_entropy(self._network(inputs).flatten(0, 1), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
        self._optimizer.step()
        # This waits for the GPU, so that the worker sees how long steps really take.
        value = loss.item()
        if not math.isfinite(value):
            raise NonRetryable(f"the loss is {value} at step {self.step + 1}: lower the rate")
        self._losses[self.step] = value
        self.step += 1

    def state(self) -> TrainState:
        """Return the state, after at least one step: it refers to the live arrays."""
        is_on_gpu = self._params.device == "cuda"
        return TrainState(
            step=self.step,
            epoch=self._epoch,
            position=self._position,
            loss=float(self._losses[self.step - 1]),
            losses=self._losses,
            weights=dict(self._network.state_dict()),
            moments=list(self._optimizer.state_dict()["state"].values()),
            cpu_random=torch.get_rng_state().numpy(),
            gpu_random=torch.cuda.get_rng_state().numpy() if is_on_gpu else None,
        )

    def result(self) -> TrainResult:
        """Return the result, after the last step."""
        weights = {name: value.cpu().numpy() for name, value in self._network.state_dict().items()}
        digest = hashlib.sha256()
        for name, array in weights.items():
            digest.update(name.encode() + array.tobytes())
        return TrainResult(
            loss=float(self._losses[-1]),
            digest=digest.hexdigest(),
            losses=self._losses,
            weights=weights,
        )

    def _load(self, state: TrainState) -> None:
        self._network.load_state_dict({n: torch.tensor(a) for n, a in state.weights.items()})
        # A copy, as it is changed in place: in memory of torch's own, which is aligned alike.
        moments = {
            number: {name: torch.tensor(array) for name, array in arrays.items()}
            for number, arrays in enumerate(state.moments)
        }
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self._losses[:] = state.losses
        self.step, self._epoch, self._position = state.step, state.epoch, state.position
        torch.set_rng_state(torch.tensor(state.cpu_random))
        if state.gpu_random is not None:
            torch.cuda.set_rng_state(torch.tensor(state.gpu_random))

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Return the next rows of text, and the same moved on by one character."""
        if self._position + self._params.batch > len(self._order):
            self._epoch, self._position = self._epoch + 1, 0
            self._order = self._shuffled()
        rows = self._order[self._position : self._position + self._params.batch]
        self._position += self._params.batch
        context = self._params.context
        places = rows[:, None] * context + torch.arange(context, device=rows.device)
        return self._text[places], self._text[places + 1]

    def _shuffled(self) -> Tensor:
        """Return the rows in the order of this epoch, which follows from its number."""
        generator = torch.Generator().manual_seed(self._params.seed + self._epoch)
        count = (self._params.characters - 1) // self._params.context
        return torch.randperm(count, generator=generator).to(self._params.device)
