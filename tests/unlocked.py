"""Cached properties of simulated processes, which are threads of one."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def unlocked(*owners: type) -> Iterator[None]:
    """Let the cached properties of these classes be without a lock within the block.

    Python 3.11 has one for all objects of a class: whoever waits within the property for simulated
    time to come would hold up all the others.
    """
    with ExitStack() as stack:
        for owner in owners:
            for value in vars(owner).values():
                if isinstance(value, cached_property):
                    stack.enter_context(patch.object(value, "lock", nullcontext(), create=True))
        yield
