"""Any message, and any request to a serverless function."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.worker.loops import direct_calls
from outlast.worker.loops.consumer import Consumer
from tests.fuzz.values import json_values, numbers, text
from tests.kernels import expected
from tests.worker.floor import JOB, STEPS, Floor

# Those that come close get further than those that do not.
CLOSE = st.fixed_dictionaries(
    {"job_id": st.just(JOB) | text}, optional={"slice": numbers, "state": json_values}
)
BODIES = st.text() | (json_values | CLOSE).map(json.dumps)


@given(bodies=st.lists(BODIES, max_size=5))
def test_no_message_stops_a_job_or_gives_it_another_result(bodies: list[str]) -> None:
    """One odd text on the queue would end every worker in turn, or change what a job computes."""
    floor = Floor()
    floor.submit(steps=STEPS)
    for body in bodies:
        floor.send(body)
    Consumer(floor.process(), slice_seconds=3.0).run(max_idle_seconds=60.0)
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.steps == STEPS
    assert floor.messages() == []


@given(
    payload=json_values
    | st.dictionaries(st.sampled_from([*direct_calls.FORMS, "params", "max_seconds"]), json_values)
)
def test_any_request_is_one_of_ours_or_refused_in_one_line(payload: object) -> None:
    """A person who calls a function with a slip in it would get a traceback, or start something."""
    try:
        request = direct_calls.parse(payload, direct_calls.FORMS)
    except direct_calls.InvalidRequest as error:
        complaint = str(error)
        assert "\n" not in complaint
    else:
        assert isinstance(request, tuple(direct_calls.FORMS.values()))


def test_a_request_without_a_bottom_is_refused_in_one_line() -> None:
    """A person would get a traceback of a thousand lines."""
    params: dict[str, object] = {}
    for _ in range(10_000):
        params = {"params": params}
    with pytest.raises(direct_calls.InvalidRequest, match="nested too deeply"):
        direct_calls.parse({"kernel": "nth-prime", "params": params}, direct_calls.FORMS)
