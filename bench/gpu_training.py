"""What a training on a GPU costs beyond its steps: its start, saves and ends.

Each is two slices of `train-text` in processes of their own, on SQLite and a folder; the first is
stopped by SIGTERM. The example and a torch that sees a GPU have to be installed. Memory is the
peak in the host beyond that of a process with a GPU's context.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import Any

from bench.large_state.kernel import MIB
from bench.large_state.worker import JOB
from bench.table import print_table
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers import open_register

SECONDS, RESUMED_SECONDS = 20.0, 4.0
INTERVAL = 0.35  # of a slice: two saves fall due in it, and none near its end
NETWORKS = ((256, 6), (1024, 8), (2048, 8))  # width and layers
SHAPE = {"steps": 10**6, "context": 256, "batch": 32, "heads": 8}

HEAD = (
    "width and layers",
    "MiB of state",
    "preparing, s",
    "ms a step",
    "saves",
    "s a save",
    "kernel halts, ms a save",
    "kept between opening and last save",
    "steps longer while sending",
    "SIGTERM to durable, s",
    "opening in a new process, s",
    "peak memory / state",
)


def main(device: str = "cuda", seconds: float = SECONDS) -> None:
    """Print the table."""
    title = f"`train-text` on {_name_of(device)}, slices of {seconds:g} s"
    print_table(title, HEAD, (_row(width, layers, device, seconds) for width, layers in NETWORKS))


def _name_of(device: str) -> str:
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    return f"{name}, torch {torch.__version__}"


def _row(width: int, layers: int, device: str, seconds: float) -> tuple[str, ...]:
    params = SHAPE | {"width": width, "layers": layers, "device": device}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/outlast.db"
        with closing(open_register(url)) as register:
            record = Record(
                job_id=JOB, kernel="train-text", params=params, created_at=0, updated_at=0
            )
            JobStore(register).submit(record)
        first = _worked(url, seconds)
        resumed = _worked(url, RESUMED_SECONDS)
    size = first["sent_bytes"] / first["all_saves"]
    return (
        f"{width:,}, {layers}",
        f"{size / MIB:,.0f}",
        f"{resumed['preparing']:.1f}",
        f"{1e3 * first['step']:.0f}",
        f"{first['saves']}",
        f"{first['save']:.2f}",
        f"{1e3 * first['still']:.0f}",
        f"{first['kept']:.1%}",
        f"{first['slower']:.1%}",
        f"{first['stop']:.2f}",
        f"{resumed['opening']:.2f}",
        f"{first['peak_bytes'] / size:.2f}",
    )


def _worked(url: str, seconds: float) -> dict[str, Any]:
    """Return what a worker, which has prepared the kernel, tells of the next slice."""
    words = [url, seconds, INTERVAL * seconds, 0, 1]
    done = subprocess.run(
        [sys.executable, "-m", "bench.large_state.worker", *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
    )
    costs: dict[str, Any] = json.loads(done.stdout)
    return costs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_training", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each slice")
    main(**vars(parser.parse_args()))
