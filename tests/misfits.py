"""What packages may register as kernels, and no worker could run."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

from tests.dividing import Dividing
from tests.kernels import Counting


class Unshowable(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("cannot be shown")

    __repr__ = __str__


class Unasked(Exception):
    """An error that fails at whatever it lacks."""

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Nameless(Counting):
    """Does not tell its name."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """Raise."""
        raise ValueError("no name")


def _failing(error: type[Exception]) -> NoReturn:
    raise error


class Partless(Dividing):
    """What its parts come to has no model."""

    name = "mine"
    Partial = None  # type: ignore[assignment]


Mute, Silent = partial(_failing, Unasked), partial(_failing, Unshowable)
Untyped = partial(Counting, name="mine", State=dict)
Unversioned = partial(Counting, name="mine", version=None)
Modelless = partial(Counting, name="mine", Params=None)
