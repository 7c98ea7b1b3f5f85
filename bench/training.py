"""The losses of a training, uncut and cut into slices on each platform: they are to be the same."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.table import print_table
from tests import servers, training
from tests.training import Site, environment_with_example, uncut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.training import Trained

PARAMS = {"steps": 1_000}
SHOWN = (1, 10, 100, 500, 1_000)
SLICE_SECONDS = 2
LAMBDA_SECONDS = 8


def main(device: str = "cpu") -> None:
    """Print the losses at some steps, the digest of the weights and the slices, place by place."""
    params = PARAMS | {"device": device}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = environment_with_example(folder)
        whole = uncut(folder / "whole", environment, params)
        assert whole is not None
        rows = [_row("uncut, without Outlast", "", whole)]
        for place, site in _trainings(folder, environment, params):
            cut = site.trained()
            assert cut == whole, f"{place}: the training has other losses"
            rows.append(_row(place, str(site.status()["slices"]), cut))
    print_table(
        f"The loss of `train-text steps={PARAMS['steps']:,}` at some of its steps; all of them and "
        "the weights are the same, bit for bit",
        ("", "slices", *(f"step {step:,}" for step in SHOWN), "weights"),
        rows,
    )


def _row(place: str, slices: str, trained: Trained) -> tuple[str, ...]:
    losses = [f"{trained.losses[step - 1]:.7f}" for step in SHOWN]
    return (place, slices, *losses, trained.digest[:8])


def _trainings(
    folder: Path, environment: dict[str, str], params: dict[str, Any]
) -> Iterator[tuple[str, Site]]:
    """Train in each place that has the device; yield its name and where the training is."""

    def on_a_disk(name: str, train: Callable[[Site], object], **settings: str) -> Site:
        site = Site.on_a_disk(environment, _made(folder / name), **settings)
        train(site)
        return site

    def here(site: Site) -> None:
        training.train_here(site, params, slice_seconds=SLICE_SECONDS)

    def killed(site: Site) -> None:
        training.train_with_a_kill(site, params)

    slices = f"slices of {SLICE_SECONDS} s"
    yield f"`outlast run`, {slices}, SQLite", on_a_disk("here", here)
    yield "the same, isolated", on_a_disk("isolated", here, OUTLAST_ISOLATE="true")
    yield "two `outlast worker`, one killed, SQLite", on_a_disk("killed", killed)
    if params["device"] != "cpu":
        return
    with servers.ministack() as sqs, servers.seaweedfs() as s3, servers.valkey() as redis:
        site = training.with_s3(environment, _made(folder / "lambda"), s3, sqs)
        training.train_on_lambda(site, params, sqs, timeout_seconds=LAMBDA_SECONDS)
        yield f"Lambda's emulator, {LAMBDA_SECONDS} s, S3", site
        wish = {"OUTLAST_SLICE_SECONDS": str(SLICE_SECONDS)}
        site = training.with_redis(environment, _made(folder / "runpod"), redis, sqs, **wish)
        training.train_on_runpod(site, params)
        yield f"RunPod's SDK, {slices}, Redis and a folder", site


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    main(**vars(parser.parse_args()))
