"""What packages may register as kernels, and no worker could run."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.kernel import Kernel
from tests.kernels import Counting, Result, State

if TYPE_CHECKING:
    from collections.abc import Generator


class Unshowable(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("cannot be shown")

    __repr__ = __str__


class Unasked(Exception):
    """An error that fails at whatever it lacks."""

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Mute(Counting):
    """Cannot be made, and cannot be asked why."""

    def __init__(self) -> None:
        raise Unasked


class Silent(Counting):
    """Cannot be made, and does not say why."""

    def __init__(self) -> None:
        raise Unshowable


class Nameless(Counting):
    """Does not tell its name."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """Raise."""
        raise ValueError("no name")


class Untyped(Counting):
    """Has a dict for its state."""

    name = "mine"
    State = dict  # type: ignore[assignment]


class Unversioned(Counting):
    """Has no version."""

    name = "mine"
    version = None  # type: ignore[assignment]


class Modelless(Kernel[Any, State, Result]):
    """Lacks a model."""

    name = "mine"
    State, Result = State, Result

    def run(
        self, params: Any, state: State | None, resources: Any
    ) -> Generator[State, None, Result]:
        """Do nothing."""
        yield State(at=0, total=0)
        return Result(total=0)

    def progress(self, params: Any, state: State) -> float:
        """Return nothing."""
        return 0.0
