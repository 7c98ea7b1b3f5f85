"""The compiler that comes with the extra `outlast[primes]`, and what to say where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

from outlast.kernel.errors import UnknownKernel
from outlast.kernel.extras import how_to_install


def is_installed() -> bool:
    """Return whether numba is there, without the half second that importing it takes."""
    return find_spec("numba") is not None


def require(what: str) -> None:
    """Do nothing if numba is there.

    Raises:
        UnknownKernel: it is not, and `what` needs it.
    """
    if not is_installed():
        raise UnknownKernel(
            f"{what} needs numba, which is not installed here: {how_to_install('primes')}"
        )
