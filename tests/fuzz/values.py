"""Values that nobody would send on purpose, as strategies."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = ["job-1", "a", "..", "../a", "{}", "%s", "\n", "jöb", "\x00", "\x1b[2J", "9" * 400, "", "1"]

text = st.sampled_from(WORDS) | st.text(max_size=40)
numbers = (
    st.integers()
    | st.sampled_from([-1, 0, 1, 2**31, 2**63, 10**400])
    | st.floats(allow_nan=True, allow_infinity=True)
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=8,
)
