"""The registry: an installed kernel is found, and a bad one is named."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from kernel import UnknownKernel, registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Lets a test install one kernel as another package would."""

    def install(value: str, name: str = "mine") -> None:
        entry = EntryPoint(name, value, registry.GROUP)
        monkeypatch.setattr(
            registry,
            "entry_points",
            lambda **wanted: [entry] if wanted.get("name", name) == name else [],
        )
        registry.load.cache_clear()

    yield install
    registry.load.cache_clear()


def test_the_kernel_of_a_package_is_found(install) -> None:
    """Nobody could add a kernel of their own."""
    install("tests.kernels:Counting", "counting")
    assert registry.names() == ["counting"]
    assert registry.load("counting").name == "counting"
    assert registry.load("counting") is registry.load("counting")


def test_an_unknown_name_lists_what_there_is(install) -> None:
    """A person who mistyped would have to look it up."""
    install("tests.kernels:Counting", "counting")
    with pytest.raises(UnknownKernel, match="unknown kernel 'count'; installed kernels: counting"):
        registry.load("count")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("tests.no_such_module:Kernel", "cannot be loaded: ModuleNotFoundError"),
        ("tests.kernels:NoSuchKernel", "cannot be loaded: AttributeError"),
        ("tests.kernels:Yielding", "cannot be loaded: TypeError"),
        ("tests.kernels:expected", "cannot be loaded: TypeError"),
        ("tests.fakes:FakeClock", "is not a kernel named 'mine'"),
        ("tests.kernels:Counting", "is not a kernel named 'mine'"),
    ],
)
def test_what_is_no_kernel_is_named(install, value: str, complaint: str) -> None:
    """One broken package would end every worker that has it, and every other job with it."""
    install(value)
    with pytest.raises(UnknownKernel, match=complaint) as caught:
        registry.load("mine")
    assert f"the entry point 'mine' ({value})" in str(caught.value)
