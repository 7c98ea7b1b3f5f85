"""How many examples are tried."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("quick", deadline=None, suppress_health_check=SLOW)
settings.register_profile("long", max_examples=1500, deadline=None, suppress_health_check=SLOW)
if settings.get_current_profile_name() == "default":  # none was asked for on the command line
    settings.load_profile("quick")


@pytest.fixture(scope="module", autouse=True)
def _silent() -> Iterator[None]:
    """Keep no log of thousands of bad values: pytest would hold it all."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
