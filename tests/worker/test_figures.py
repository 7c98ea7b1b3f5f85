"""A kernel's own figures: what is stored of them, and where people find them."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.codec import decode, decode_head, encode
from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.history import MAX_ROWS, History
from outlast.checkpoint.view import view
from outlast.worker.cli.live_table import METRICS_CELLS, cells_of, line_of
from outlast.worker.settings import Settings
from outlast.worker.slices.figures import _refuse, figures
from outlast.worker.telemetry.emf import DIMENSIONS
from outlast.worker.telemetry.switches import switched_on
from tests.kernels import Counting
from tests.records import RecordBytes, checkpoint, job
from tests.worker.test_telemetry import emf_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.worker.floor import Floor


class Measuring(Counting):
    """Counts, and tells the share of the steps that are left as a loss."""

    def metrics(self, params: Any, state: Any) -> Mapping[str, float]:
        """Return the loss."""
        return {"loss": 1 - state.at / params.steps, "at": state.at}


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    _refuse.cache_clear()


def of(metrics: Any) -> dict[str, float]:
    """Return what is kept of these metrics."""
    return figures(Counting(metrics=lambda *_: metrics), None, None)


def test_each_save_has_the_figures_of_its_state(floor: Floor) -> None:
    """A person would look at the loss of another state, or see none."""
    floor.kernel = Measuring(floor.step)
    floor.submit()
    floor.work(seconds=3.0)
    newest, before = floor.record.checkpoints
    assert newest.metrics["at"] == json.loads(newest.state)["at"]
    assert before.metrics["at"] == json.loads(before.state)["at"] < newest.metrics["at"]
    assert newest.metrics["loss"] == pytest.approx(1 - newest.progress)
    assert floor.record.history.figures == ((newest.saved_at, newest.metrics),)


def test_a_kernel_need_not_have_any(floor: Floor) -> None:
    """Every kernel would have to have them."""
    record = floor.run(Counting(floor.step), seconds=3.0)
    assert record.checkpoints[0].metrics == {}
    assert record.history.figures == ()
    assert figures(Counting(), None, None) == {}


@pytest.mark.parametrize(
    ("metrics", "why"),
    [
        ({"loss": math.nan}, "loss is nan"),
        ({"loss": math.inf}, "loss is inf"),
        ({"Loss": 1.0}, "'Loss' is no name"),
        ({"loss\n": 1.0}, r"'loss\n' is no name"),
        ({"a" * 41: 1.0}, "is no name"),
        ({7: 1.0}, "7 is no name"),
        ({"loss": "low"}, "ValueError"),
        ({"loss": 10**400}, "OverflowError"),
        (None, "TypeError"),
    ],
)
def test_a_figure_that_cannot_be_shown_costs_a_line(
    metrics: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A loss that is not a number would fail the job, or fill the log."""
    for _ in range(3):
        assert of(metrics) == {}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert why in record.getMessage()


def test_the_others_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    """One wrong figure would hide all."""
    assert of({"a": math.nan, "b": 2}) == {"b": 2.0}
    assert "a is nan" in caplog.text


def test_sixteen_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A record would grow without an end."""
    assert of({f"m{n}": n for n in range(20)}) == {f"m{n}": n for n in range(16)}
    assert caplog.text.count("more than 16") == 1


def test_an_error_in_them_fails_no_job(floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    """A job would fail for what only people look at."""
    record = floor.run(Counting(floor.step, metrics=lambda *_: 1 / 0))
    assert record.status == "succeeded"
    assert caplog.text.count("ZeroDivisionError") == 1


def test_they_are_stored_with_the_head() -> None:
    """A list of jobs, which reads no more than heads, would have none."""
    record = job(checkpoints=(checkpoint(metrics={"loss": 0.5}),))
    assert decode(encode(record)).metrics == {"loss": 0.5}
    assert decode_head(encode(record)).metrics == {"loss": 0.5}


@pytest.mark.parametrize("forged", ['{"loss":1e999}', '{"\\u001b[2J":1.0}', '{"loss":"low"}'])
def test_forged_ones_are_refused(forged: str) -> None:
    """They could control the terminal or the page that shows them."""
    value = encode(job(checkpoints=(checkpoint(metrics={"loss": 0.5}),)))
    parts = RecordBytes.of(value)
    head = parts.head.replace(b'{"loss":0.5}', forged.encode())
    assert head != parts.head
    with pytest.raises(CorruptRecord):
        decode(parts._replace(head=head).joined())


def test_the_history_keeps_their_course() -> None:
    """Of a long job only the last hours could be seen, or its record would grow with each slice."""
    history = History()
    for at in range(500):
        history = history.measured(float(at), {"loss": float(at)})
        history = history.measured(float(at), {"loss": -1.0})  # of a slice that saved nothing
    assert MAX_ROWS / 2 < len(history.figures) <= MAX_ROWS
    assert all(metrics == {"loss": at} for at, metrics in history.figures)
    assert [history.figures[0][0], history.figures[-1][0]] == [0.0, 499.0]
    assert list(history.figures) == sorted(history.figures, key=lambda figure: figure[0])


def test_programs_and_people_see_them() -> None:
    """Who waits for a training would not see whether it learns."""
    record = job(checkpoints=(checkpoint(metrics={"loss": 0.123456789, "rate": 1e-7}),))
    assert view(record)["metrics"] == {"loss": 0.123456789, "rate": 1e-7}
    assert line_of(record, 200.0).endswith(", loss=0.123457 rate=1e-07")
    many = job(checkpoints=(checkpoint(metrics={f"m{n}": 0.5 for n in range(9)}),))
    assert len(cells_of(many, 200.0)["METRICS"]) == METRICS_CELLS


def test_they_are_embedded_metrics(floor: Floor, capsys: pytest.CaptureFixture[str]) -> None:
    """No alarm could be set on a loss, or a figure called "slice" would replace the slice."""
    with switched_on(Settings(metrics="emf")):
        floor.run(Counting(floor.step, metrics=lambda *_: {"slice": 0.5}), seconds=3.0)
    (document,) = emf_lines(capsys)
    assert (document["Kernel_slice"], document["slice"]) == (0.5, 1)
    own = document["_aws"]["CloudWatchMetrics"][1]
    assert own["Dimensions"] == [DIMENSIONS]
    assert own["Metrics"] == [{"Name": "Kernel_slice", "Unit": "None"}]


def test_prometheus_has_them_with_few_labels(floor: Floor) -> None:
    """A kernel that makes names up would fill the memory of Prometheus."""
    from outlast.worker.telemetry.prometheus import PrometheusHandler

    names = iter(range(1000))
    kernel = Counting(floor.step, metrics=lambda *_: {"loss": 0.5, f"m{next(names)}": 1.0})
    log = logging.getLogger("outlast")
    handler = PrometheusHandler("127.0.0.1", 0)
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        floor.run(kernel, steps=60)
        text = _metrics(handler.port)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.stop(1.0)
    assert 'outlast_kernel_metric{kernel="counting",name="loss"} 0.5' in text
    assert next(names) > 20
    assert text.count("outlast_kernel_metric{") == 16


def _metrics(port: int) -> str:
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())
