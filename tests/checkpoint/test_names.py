"""Which ids a job can have."""

from __future__ import annotations

import pytest

from outlast.checkpoint.errors import InvalidJobId
from outlast.checkpoint.names import checked_id, job_key
from tests.records import job


@pytest.mark.parametrize("job_id", ["a", "0", "nth-prime-00ff", "A.b_c-9", "x" * 128, "a.."])
def test_plain_ids_are_accepted(job_id: str) -> None:
    """A person could not name a job."""
    assert checked_id(job_id) == job_id
    assert job(job_id=job_id).job_id == job_id


@pytest.mark.parametrize(
    "job_id",
    ["", "x" * 129, "../x", "a/b", "a b", "a\n", "\na", ".a", "-a", "{a}", "ä", "a\x00", "a*", "٣"],
)
def test_ids_that_a_store_could_misread_are_refused(job_id: str) -> None:
    """A key could leave its prefix, or one job be taken for another."""
    with pytest.raises(InvalidJobId):
        checked_id(job_id)
    with pytest.raises(InvalidJobId):
        job_key(job_id)
    with pytest.raises(ValueError, match="job_id"):
        job(job_id=job_id)
