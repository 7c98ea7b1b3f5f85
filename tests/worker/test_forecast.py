"""Forecasts: an estimate on workers of a given size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outlast.kernel import Estimate
from outlast.worker.costs.bill import consumption_of
from outlast.worker.costs.forecast import Size, forecast, lambda_sizes, services_for
from outlast.worker.settings import Settings
from tests.worker.floor import Floor

JOB = Estimate(
    seconds=1000.0,
    serial_seconds=100.0,
    resume_seconds=10.0,
    memory_bytes=1000 << 20,
    state_bytes=500,
)
TWO_CORES = Size("local", cores=2, threads=2, slice_seconds=200.5)


def test_threads_share_what_can_be_shared_and_each_slice_rebuilds_its_tables() -> None:
    """Two threads would be sold as twice as fast, and slices as free.

    By hand: on two threads 100 s alone and 900 s in half the time make 550 s. A slice of 200.5 s
    has 200 s for them, the first 200 s and each further one 190 s beside the 10 s of its tables:
    two more. So 550 + 2 * 10 s in the kernel, and 3 * 0.5 s around it. A save every 9.49 s on S3
    makes 60 checkpoints, beside 3 writes a slice; each slice but the last leaves a state, too.
    """
    consumption = forecast(JOB, TWO_CORES, store="s3").consumption
    assert (consumption.slices, consumption.compute_seconds, consumption.occupied_seconds) == (
        3,
        570.0,
        571.5,
    )
    assert (consumption.writes, consumption.saved_bytes) == (70, 62 * 500)


def test_the_interval_between_checkpoints_decides_the_writes() -> None:
    """A user who saves every second would not see what that costs."""
    often = forecast(JOB, TWO_CORES, store="s3", checkpoint_seconds=1.0).consumption
    assert often.writes == 10 + 570


def test_a_job_that_cannot_run_there_is_not_given_a_price() -> None:
    """A function would be deployed that is killed for its memory, or that never gets ahead."""
    size = replace(TWO_CORES, memory_bytes=1063 << 20)
    assert forecast(JOB, size, store="s3").obstacle == "does not fit"
    assert forecast(JOB, replace(size, memory_bytes=1064 << 20), store="s3").obstacle is None
    short = forecast(JOB, replace(TWO_CORES, slice_seconds=10.5), store="s3")
    assert short.obstacle == "slices too short"
    assert short.consumption.slices == 0


def test_lambda_gives_cores_by_memory() -> None:
    """The sizes side by side would all be as fast.

    By hand: 512 MB are 0.2894 of a core, so 1,000 s take 3,455; 3,538 MB are two cores, 550 s.
    """
    half, double = (
        forecast(replace(JOB, memory_bytes=0), size, store="s3").consumption.compute_seconds
        for size in lambda_sizes((512, 3538), timeout_seconds=900, core_factor=1.0)[:2]
    )
    tables = 10 * 1769 / 512  # of each slice after the first: 3,455 s need four
    assert half == pytest.approx(1000 * 1769 / 512 + 3 * tables, rel=1e-3)
    assert double == 550.0


def test_more_work_less_power_and_shorter_slices_never_cost_less() -> None:
    """The table would advise against its own figures."""

    def seconds(work: float, cores: int, factor: float, length: float) -> float:
        size = Size("local", cores, cores, length, core_factor=factor)
        return forecast(
            replace(JOB, seconds=work), size, store="redis"
        ).consumption.occupied_seconds

    base = seconds(1000.0, 2, 1.0, 100.0)
    assert seconds(1100.0, 2, 1.0, 100.0) > base
    assert seconds(1000.0, 1, 1.0, 100.0) > base
    assert seconds(1000.0, 2, 1.3, 100.0) > base
    assert seconds(1000.0, 2, 1.0, 50.0) > base


def test_workers_elsewhere_do_not_use_this_machines_files() -> None:
    """Lambda's requests would seem to be free, as those to a file are."""
    settings = Settings(store="sqlite:////x.db", queue="sqlite:////x.db", platform="local")
    assert services_for(TWO_CORES, settings) == ("sqlite", "sqlite")
    away = replace(TWO_CORES, platform="lambda/arm64/1769")
    assert services_for(away, settings) == ("s3", "sqs")
    redis = settings.model_copy(update={"store": "redis://h"})
    assert services_for(away, redis) == ("redis", "sqs")
    alone = redis.model_copy(update={"queue": "redis://h"})
    assert services_for(away, alone) == ("redis", "sqs"), "a function takes messages of SQS only"
    assert services_for(replace(away, platform="runpod/A40"), alone) == ("redis", "redis")


def test_a_forecast_is_what_a_job_then_takes() -> None:
    """Estimate and cost would be two different accounts of the same job."""
    floor = Floor(step_seconds=0.5)
    floor.submit(steps=60)  # 30 s of work
    while not floor.record.status.is_final:
        floor.work(seconds=7.0)
    measured = consumption_of(floor.record)
    size = Size("local", 1, 1, slice_seconds=7.0, slice_overhead_seconds=0.0)
    work = Estimate(30.0, 0.0, 0.0, 0, state_bytes=20)
    coming = forecast(work, size, store="redis", checkpoint_seconds=1.0).consumption
    assert measured.slices - coming.slices in {0, 1}  # a step that would not fit is left
    assert measured.occupied_seconds == pytest.approx(coming.occupied_seconds, rel=0.02)
    assert measured.writes == pytest.approx(coming.writes, rel=0.15)
    assert measured.saved_bytes == pytest.approx(coming.saved_bytes, rel=0.3)
