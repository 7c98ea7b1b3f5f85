"""This machine's clock beside a server's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import boto3
import pytest
import redis

from outlast.worker.doctor.clock import clock_findings, date_of
from outlast.worker.doctor.redis_server import clock_check
from tests.doctor.between import DENIED, Answer, between

if TYPE_CHECKING:
    from tests.servers import Server


@pytest.mark.parametrize(
    ("ahead", "expected", "costs"),
    [
        (0.0, "ok", ""),
        (-1.9, "ok", ""),
        (30.0, "warning", "log lines"),
        (-30.0, "warning", "log lines"),
        (301.0, "error", "AWS refuses"),
        (-301.0, "error", "AWS refuses"),
    ],
)
def test_what_a_wrong_clock_costs(ahead: float, expected: str, costs: str) -> None:
    """AWS would refuse each request, or the log lines of two machines contradict each other."""
    (finding,) = clock_findings(
        "store", lambda: 1000.0, resolution_seconds=0.0, clock=lambda: 1000.0 + ahead
    )
    assert finding.level == expected
    assert costs in finding.breaks


def test_an_uncertain_difference_is_ok() -> None:
    """A slow answer, or one in whole seconds, would be taken for a wrong clock."""
    ticks = iter([1000.0, 1008.0])
    (finding,) = clock_findings(
        "store", lambda: 999.0, resolution_seconds=1.0, clock=lambda: next(ticks)
    )
    assert finding.level == "ok"


@pytest.mark.parametrize(("ahead", "expected"), [(0.0, "ok"), (60.0, "warning")])
def test_the_clock_of_a_real_redis(
    ahead: float, expected: str, valkey_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison would be with something else than the server's time."""
    real = time.time
    monkeypatch.setattr(clock_findings, "__kwdefaults__", {"clock": lambda: real() + ahead})
    with redis.Redis.from_url(valkey_server.url) as client:
        (finding,) = clock_check(client)
    assert finding.level == expected


def test_the_date_of_an_answer_that_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a right the clock could not be compared, though every answer tells the time."""
    with between(lambda _: Answer(403, DENIED)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        client = boto3.client("lambda")
        moment = date_of(lambda: client.get_function(FunctionName="f"))
        client.close()
    assert abs(moment - time.time()) < 5
