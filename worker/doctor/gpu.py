"""Whether a kernel could use a GPU here, asked of NVIDIA's own tool: torch need not be there."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outlast.worker.doctor.finding import Finding

ASK = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
# It takes a second where the driver has to wake the GPU, and hangs where that has fallen off.
PATIENCE_SECONDS = 20.0


def gpu_findings(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Tell the name and the memory of each NVIDIA GPU of this machine, or that there is none.

    `environment` may have CUDA_VISIBLE_DEVICES, which hides some of them from kernels.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - a command of our own
            ASK, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except FileNotFoundError:
        yield ok("machine.gpu", "no NVIDIA GPU: there is no nvidia-smi")
        return
    except subprocess.TimeoutExpired:
        yield _silent(f"nvidia-smi gives no answer for {PATIENCE_SECONDS:.0f} s")
        return
    lines = [line.strip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    if answer.returncode or not lines:
        why = lines[0] if lines else "no answer"
        yield _silent(f"nvidia-smi ends with exit code {answer.returncode}: {why}")
        return
    fact = "; ".join(lines)
    if (visible := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        fact += f"; CUDA_VISIBLE_DEVICES={visible or 'none'}"
    yield ok("machine.gpu", fact)


def _silent(fact: str) -> Finding:
    return warning(
        "machine.gpu",
        fact,
        breaks="a kernel that needs a GPU cannot run here",
        mend="restart the machine, or install the driver that fits; a container needs "
        "docker run --gpus all",
    )
