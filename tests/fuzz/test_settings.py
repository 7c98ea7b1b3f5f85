"""Any environment and any URL."""

from __future__ import annotations

import os
from unittest import mock

from hypothesis import assume, given
from hypothesis import strategies as st

from outlast.checkpoint.errors import InvalidStoreUrl
from outlast.checkpoint.registers import open_register
from outlast.worker.queues import open_queue
from outlast.worker.queues.contract import InvalidQueueUrl
from outlast.worker.settings import PREFIX, InvalidSettings, Settings, read_settings
from tests.fuzz.values import numbers, text

NAMES = st.sampled_from([name.upper() for name in Settings.model_fields])
VALUES = (text | numbers.map(str)).map(lambda value: value.replace("\x00", "0"))
SCHEMES = ["redis", "rediss", "s3", "sqs", "https", "http", "postgres", "redis:", ""]
SECRET = "s3cr3t"
PARTS = st.sampled_from(["", "me", ":", "@", "/", "?", "#", "=", "a.b", "0", "//", SECRET])


@given(variables=st.dictionaries(NAMES, VALUES, max_size=4))
def test_settings_are_taken_or_refused_by_name(variables: dict[str, str]) -> None:
    """An operator's slip would start a worker with another setting, or end it in a traceback."""
    encodable = "".join(variables.values()).encode(errors="replace").decode()
    assume(encodable == "".join(variables.values()))
    environment = {PREFIX + name: value for name, value in variables.items()}
    message = ""
    with mock.patch.dict(os.environ, environment, clear=True):
        try:
            read_settings()
        except InvalidSettings as error:
            message = str(error)
    assert not message or any(name in message for name in environment)
    assert "\n" not in message


@given(scheme=st.sampled_from(SCHEMES), parts=st.lists(PARTS, max_size=8))
def test_no_url_ends_in_a_traceback_or_shows_a_password(scheme: str, parts: list[str]) -> None:
    """A slip in the URL would put the store's password into a log."""
    url = f"{scheme}://" + "".join(parts)
    message = ""
    for opener in (open_register, open_queue):
        try:
            opener(url)  # which connects to nothing yet
        except (InvalidStoreUrl, InvalidQueueUrl) as error:
            message += str(error)
    # Where a URL has its secrets: before the last @, and among the options.
    before, at, rest = url.rpartition("@")
    for part in (before if at else "", rest.partition("?")[2]):
        if SECRET in part and SECRET not in rest.partition("?")[0]:
            assert SECRET not in message
