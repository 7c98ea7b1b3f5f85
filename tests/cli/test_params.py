"""How key=value is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.kernel import InvalidParams
from outlast.worker.cli.params import format_params, params_for, split_params, value_of
from outlast.worker.jobs.new_job import valid_params


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000_000", 1_000_000),
        ("-5", -5),
        ("007", 7),
        ("1.5", 1.5),
        ("1e3", 1000),
        ("1.5e3", 1500),
        ("-1.50e2", -150),
        ("1.25e1", 12.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ('"7"', "7"),
        ("[1, 2]", [1, 2]),
        ("abc", "abc"),
        ("", ""),
        ("a=b", "a=b"),
        ("10^15", 10**15),
        ("10**15", 10**15),
        ("2^0", 1),
        ("9999^999", 9999**999),
        ("-2^2", "-2^2"),
        ("10^-2", "10^-2"),
        ("2^3^4", "2^3^4"),
        ("10^1000", "10^1000"),
        ("NaN", "NaN"),
        ("1__0", "1__0"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_what_it_looks_like(text: str, value: Any) -> None:
    """A person would compute something else than they typed, or see a traceback."""
    parsed = value_of(text)
    assert (parsed, type(parsed)) == (value, type(value))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    st.lists,
    max_leaves=5,
)


@given(value=JSON)
def test_what_is_shown_can_be_typed(value: Any) -> None:
    """A parameter copied from a listing would become another one."""
    shown = format_params({"key": value})
    assert {key: value_of(text) for key, text in split_params([shown]).items()} == {"key": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123", "123"),
        ("007", "007"),
        ("1e3", "1e3"),
        ("10^3", "10^3"),
        ("1.50", "1.50"),
        ("true", "true"),
        ("abc", "abc"),
        ('"123"', "123"),
        ("null", None),
    ],
)
def test_where_a_kernel_wants_text_what_was_typed_is_text(text: str, value: Any) -> None:
    """A label, a date or a version that looks like a number would be refused, or changed."""
    assert params_for("tally", ["steps=1e2", f"label={text}"]) == {"steps": 100, "label": value}


def test_a_refusal_says_what_may_be_written() -> None:
    """A person would try yes, 1 and on in turn, or count zeros."""
    with pytest.raises(InvalidParams, match="verify='1': write true or false; its parameters: "):
        params_for("nth-prime", ["position=9", "verify=1"])
    with pytest.raises(InvalidParams, match=r"should be less than or equal to 10\^22; its"):
        params_for("nth-prime", ["position=10^23"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["steps=1e3", "label=[1]"], r"label='[1]': Input should be a valid string"),
        (["steps=1e3", "label=1234567890"], "label='1234567890': String should have at most 9"),
        (["steps=-1e3"], "steps='-1e3': Input should be greater than"),
        (["steps=-10^3"], "steps='-10^3': Input should be a valid integer"),
        ([f"steps=-{'9' * 4000}e999"], "steps='-" + "9" * 59 + "…': Input should be greater than"),
        (["steps=null"], "steps='null': Input should be a valid integer"),
        (["steps=true"], "steps='true': Input should be a valid integer"),
        (["steps=[1]"], "steps='[1]': Input should be a valid integer"),
    ],
)
def test_a_refusal_shows_what_was_typed(words: list[str], message: str) -> None:
    """A person would look for something on their command line that is not there."""
    with pytest.raises(InvalidParams) as caught:
        params_for("tally", words)
    assert message in str(caught.value)


def test_of_a_long_slip_the_beginning_is_shown() -> None:
    """The line that names the thing and the way out would be pages away."""
    digits = "9" * 6000
    for word in (f"position={digits}", f"{digits}=1", digits):
        with pytest.raises(InvalidParams) as caught:
            params_for("nth-prime", [word])
        assert f"{'9' * 60}…'" in str(caught.value)
        assert len(str(caught.value)) < 200
    for value in (10**6000, [10**6000]):
        with pytest.raises(
            InvalidParams, match=r"position=\(a number of more than 4300 digits\): I"
        ):
            valid_params("nth-prime", {"position": value})
