"""What travels on the queue: an id and a number; anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.worker.queues.message import ForeignMessage, Message


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (Message(job_id="a", slice=3), '{"job_id":"a","slice":3}'),
        (Message(job_id="a"), '{"job_id":"a"}'),
        (
            Message(job_id="a", slice=3, birth="0123456789abcdef", part=7),
            '{"job_id":"a","slice":3,"birth":"0123456789abcdef","part":7}',
        ),
    ],
)
def test_the_text_is_the_contract(message: Message, body: str) -> None:
    """Messages sent by one version could not be read by the next, or by a person's script."""
    assert message.body() == body
    assert Message.parse(body) == message


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '"a"',
        '{"slice":1}',
        '{"job_id":"a","slice":"1"}',
        '{"job_id":"a","slice":1.0}',
        '{"job_id":"a","slice":true}',
        '{"job_id":"a","slice":0}',
        '{"job_id":"a","slice":-1}',
        '{"job_id":"a","state":{}}',
        '{"job_id":"a/b"}',
        '{"job_id":"a","part":7}',
        '{"job_id":"a","birth":"0123456789abcdef"}',
        '{"job_id":"a","birth":"0123456789ABCDEF","part":7}',
        '{"job_id":"a","birth":"0123456789abcdef","part":-1}',
        '{"job_id":"a\\n"}',
        '{"job_id":7}',
        '{"job_id":"' + "a" * 129 + '"}',
        "{" * 100_000,
        "\x00",
        "\ud800",
    ],
)
def test_what_is_not_ours_is_refused(body: str) -> None:
    """Another program's message would be acked, and lost to it."""
    with pytest.raises(ForeignMessage):
        Message.parse(body)


@given(body=st.text() | st.text().map(lambda text: f'{{"job_id":"{text}"}}'))
@settings(deadline=None)
def test_any_text_is_a_message_or_foreign(body: str) -> None:
    """One odd text on the queue would end every worker in turn."""
    try:
        message = Message.parse(body)
    except ForeignMessage as error:
        complaint = str(error)
        assert "\n" not in complaint
    else:
        assert message.job_id in body


def test_a_long_text_is_quoted_in_part() -> None:
    """A log line of a megabyte helps nobody."""
    with pytest.raises(ForeignMessage) as caught:
        Message.parse("x" * 1_000_000)
    assert len(str(caught.value)) < 300
