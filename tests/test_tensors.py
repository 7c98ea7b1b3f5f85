"""Tensors of torch in a kernel's models, on a GPU where there is one."""

from __future__ import annotations

import os
from collections import Counter
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from outlast import Array, Model
from outlast.kernel.bulk import dumped, loaded, new_row, reads_back

if find_spec("torch") is None and not os.environ.get("CI"):
    pytest.skip("no torch for the tests of tensors: run `make test`", allow_module_level=True)

import torch

fetched: Counter[str] = Counter()


class Far(torch.Tensor):
    """A tensor that says that it is elsewhere, and counts what is fetched of it."""

    device = torch.device("cuda")  # type: ignore[assignment]
    is_cuda = False  # type: ignore[assignment]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count the calls by which bytes leave a GPU."""
        if func.__name__ in {"cpu", "copy_"}:
            fetched[func.__name__] += 1
        return super().__torch_function__(func, types, args, kwargs)


Far.__module__ = "torch"


def far(tensor: torch.Tensor) -> Any:
    """Return the tensor on a GPU; where there is none, one that takes the CPU for it."""
    return tensor.cuda() if torch.cuda.is_available() else tensor.as_subclass(Far)


class One(Model):
    """A model with an array."""

    array: Array


class Several(Model):
    """A model with some."""

    arrays: dict[str, Array]


NUMBERS = torch.arange(24.0).reshape(4, 6)
TENSORS = {
    "matrix": NUMBERS,
    "turned": NUMBERS.t(),
    "strided": NUMBERS[::2, ::3],
    "column": NUMBERS[:, 0],
    "every other": torch.arange(9)[::2],
    "diagonal": NUMBERS.diagonal(),
    "expanded": torch.ones(1, 1).expand(3, 4),
    "scalar": torch.tensor(3.5),
    "empty": torch.empty(0, 3),
    "bool": NUMBERS > 3,
    "half": NUMBERS.half(),
    "long": NUMBERS.long(),
    "complex": torch.complex(NUMBERS, -NUMBERS),
    "conjugated": torch.complex(NUMBERS, -NUMBERS).conj(),
    "trained": NUMBERS.clone().requires_grad_(),
}


@pytest.mark.parametrize("name", TENSORS)
def test_one_elsewhere_comes_back_as_the_same_one_here(name: str) -> None:
    """A network would go on with other weights when it moves to a GPU, or cease to be stored."""
    here, there = (One(array=place(TENSORS[name])) for place in (lambda tensor: tensor, far))
    (text, bulk), (far_text, far_bulk) = dumped(here), dumped(there)
    assert far_text == text
    assert far_bulk.spans == bulk.spans
    rows = [each.copied_to(new_row(each.size)).read(0, each.size) for each in (bulk, far_bulk)]
    assert rows[0] == rows[1]
    assert loaded(One, far_text, rows[1]) == here == there


def test_one_elsewhere_is_fetched_only_when_it_is_stored() -> None:
    """A training on a GPU would wait for a copy at each yield, also where no save is due."""
    fetched.clear()
    tensor = far(NUMBERS)
    model = One(array=tensor)
    assert model.array is tensor
    text, bulk = dumped(model)
    assert reads_back(model, text, bulk)
    assert not fetched
    bulk.copied_to(new_row(bulk.size))
    assert fetched == ({} if tensor.is_cuda else {"copy_": 1})  # One of the GPU does not count.


def test_a_part_of_what_is_elsewhere_can_be_read() -> None:
    """A state that does not fit into memory twice could not be sent from a GPU, chunk by chunk."""
    arrays: dict[str, Any] = {"a": far(NUMBERS), "b": far(NUMBERS.t()), "c": NUMBERS.numpy()}
    _, bulk = dumped(Several(arrays=arrays))
    row = bytes(bulk.copied_to(new_row(bulk.size)).read(0, bulk.size))
    for begin, end in [(0, 96), (8, 20), (90, 130), (64, bulk.size), (0, bulk.size)]:
        assert bytes(bulk.read(begin, end)) == row[begin:end]
    assert row[:96] == np.arange(24, dtype="f4").tobytes()


def test_a_type_that_numpy_does_not_have_is_refused_with_the_way_out() -> None:
    """An author would read of a scalar type that numpy lacks, and not what to do."""
    model = One(array=far(NUMBERS.bfloat16()))
    with pytest.raises(ValueError, match=r"of torch.bfloat16 give tensor.view"):
        dumped(model)
