"""How key=value is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import InvalidParams
from worker.cli.params import format_params, parse_params


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000_000", 1_000_000),
        ("-5", -5),
        ("007", 7),
        ("1.5", 1.5),
        ("1e3", 1000),
        ("true", True),
        ("false", False),
        ("null", None),
        ('"7"', "7"),
        ("[1, 2]", [1, 2]),
        ("abc", "abc"),
        ("", ""),
        ("a=b", "a=b"),
        ("10^30", "10^30"),
        ("NaN", "NaN"),
        ("1__0", "1__0"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_what_it_looks_like(text: str, value: Any) -> None:
    """A person would compute something else than they typed, or see a traceback."""
    found = parse_params([f"key={text}"])["key"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("word", ["7", "", "=7", "position"])
def test_a_word_without_key_and_equals_sign_is_refused(word: str) -> None:
    """A forgotten key would be taken for something else."""
    with pytest.raises(InvalidParams, match="write key=value"):
        parse_params([word])


def test_a_key_given_twice_is_refused() -> None:
    """One of two contradicting values would be dropped without a word."""
    with pytest.raises(InvalidParams, match="'position' is given twice"):
        parse_params(["position=1", "position=2"])


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
    assert parse_params([shown]) == {"key": value}
