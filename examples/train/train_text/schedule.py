"""How fast the network learns at each step."""

from __future__ import annotations

import math

from train_text.models import TrainParams


def learning_rate(params: TrainParams, step: int) -> float:
    """Return the rate of a step, the first is 0: a straight rise, then half a cosine down to 0.

    It follows from the number of the step alone, so the state need not hold it.
    """
    if step < params.warm_up:
        return params.rate * (step + 1) / params.warm_up
    share = (step - params.warm_up) / max(params.steps - params.warm_up, 1)
    return params.rate * (1 + math.cos(math.pi * share)) / 2
