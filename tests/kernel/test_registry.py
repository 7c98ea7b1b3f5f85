"""The registry: an installed kernel is found, and a bad one is named."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from outlast.kernel import UnknownKernel, registry

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
            lambda **selected: [entry] if selected.get("name", name) == name else [],
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
        ("outlast.kernel:Kernel", "cannot be loaded: TypeError"),
        ("tests.kernels:expected", "cannot be loaded: TypeError"),
        ("tests.fakes:FakeClock", "is not a kernel named 'mine'"),
        ("tests.kernels:Counting", "is not a kernel named 'mine'"),
        ("tests.misfits:Mute", "cannot be loaded: Unasked"),
        ("tests.misfits:Silent", "cannot be loaded: Unshowable"),
        ("tests.misfits:Nameless", "cannot be loaded: ValueError"),
        ("tests.misfits:Modelless", "is a kernel whose Params is not a pydantic model"),
        ("tests.misfits:Untyped", "is a kernel whose State is not a pydantic model"),
        ("tests.misfits:Partless", "is a kernel whose Partial is not a pydantic model"),
        ("tests.misfits:Unversioned", "is a kernel whose version is None, not a whole number"),
    ],
)
def test_what_is_no_kernel_is_named(install, value: str, complaint: str) -> None:
    """One broken package would end every worker that has it, and every other job with it."""
    install(value)
    with pytest.raises(UnknownKernel, match=complaint) as caught:
        registry.load("mine")
    assert f"the entry point 'mine' ({value})" in str(caught.value)


def test_a_name_that_two_packages_claim_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's result would depend on the machine that a slice ran on."""
    entries = [EntryPoint("counting", f"tests.{of}", registry.GROUP) for of in ("a:A", "b:B")]
    monkeypatch.setattr(registry, "entry_points", lambda **_: entries)
    registry.load.cache_clear()
    with pytest.raises(UnknownKernel, match=r"more than once, as tests\.a:A and tests\.b:B"):
        registry.load("counting")
