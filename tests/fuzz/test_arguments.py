"""Any command line."""

from __future__ import annotations

import contextlib
import io
import os
import re
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.worker.cli import main
from outlast.worker.cli.app import COMMANDS
from tests.cli.conftest import INSTALLED
from tests.fuzz.values import numbers, text

if TYPE_CHECKING:
    from pathlib import Path


# Without these a line could ask for something that takes for ever.
BRAKES = {
    "worker": ["--max-idle-seconds", "0.01"],
    "wait": ["--timeout-seconds", "0.01"],
    "warmup": ["tally"],
    "watch": ["nobody"],  # an unknown job ends it
    "dashboard": ["--host", "192.0.2.1"],  # not without a token
}
OPTIONS = [
    "--json",
    "--debug-not",
    "--job-id",
    "--generation",
    "--state",
    "--slice-seconds",
    "--after-seconds",
    "--max-slices",
    "--timeout-seconds",
    "--",
    "-x",
]
PARAMETERS = st.tuples(st.sampled_from(["position", "steps", "x", ""]), text | numbers.map(str))
WORDS = st.lists(
    st.sampled_from([*OPTIONS, "tally", "nth-prime", "a", "--job-id=a"])
    | PARAMETERS.map(lambda pair: f"{pair[0]}={pair[1][:4]}")
    | text,
    max_size=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them keep their jobs."""
    return tmp_path_factory.mktemp("arguments")


@given(command=st.sampled_from(sorted(COMMANDS)), words=WORDS)
def test_any_words_end_in_an_answer_or_one_line(
    folder: Path, command: str, words: list[str]
) -> None:
    """A slip of the fingers would end in a traceback, or make the terminal unusable."""
    out, err = io.StringIO(), io.StringIO()
    url = f"sqlite:///{folder / 'outlast.db'}"
    environment = {"OUTLAST_STORE": url, "OUTLAST_QUEUE": url, "PYTHONPATH": str(INSTALLED)}
    with mock.patch.dict(os.environ, environment), contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        code = main([command, *BRAKES.get(command, []), *words])
    printed = err.getvalue()
    assert code in {0, 1, 2, 3}
    assert "Traceback" not in printed
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x1b]", printed + out.getvalue())
    if code == 2:
        assert printed.startswith("outlast: ")
        assert printed.count("\n") == 1
