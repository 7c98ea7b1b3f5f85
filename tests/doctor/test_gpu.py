"""What doctor says of GPUs, with an nvidia-smi of the test's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from outlast.worker.doctor import gpu

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outlast.worker.doctor.finding import Finding

TWO = 'echo "NVIDIA L4, 23034 MiB"; echo "NVIDIA A10G, 23028 MiB"'


@pytest.fixture
def tool(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put an nvidia-smi first on the path, which runs these lines; there is none before."""
    programs = folder / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(lines: str) -> None:
        (programs / "nvidia-smi").write_text(f"#!/bin/sh\n{lines}\n")
        (programs / "nvidia-smi").chmod(0o755)

    return install


@pytest.mark.usefixtures("tool")
def test_a_machine_without_a_gpu(run_doctor: Callable[..., dict[str, Finding]]) -> None:
    """Doctor would fail, or be silent, on most machines."""
    finding = run_doctor()["machine.gpu"]
    assert (finding.level, finding.found) == ("ok", "no NVIDIA GPU: there is no nvidia-smi")


def test_each_gpu_and_its_memory(
    tool: Callable[[str], None], run_doctor: Callable[..., dict[str, Finding]]
) -> None:
    """A person would not know whether their model fits, or that a variable hides the GPU."""
    tool(f'[ "$1" = --query-gpu=name,memory.total ] && {{ {TWO}; }}')
    finding = run_doctor()["machine.gpu"]
    assert (finding.level, finding.found) == ("ok", "NVIDIA L4, 23034 MiB; NVIDIA A10G, 23028 MiB")
    finding = run_doctor(CUDA_VISIBLE_DEVICES="1")["machine.gpu"]
    assert finding.found.endswith("; CUDA_VISIBLE_DEVICES=1")
    assert run_doctor(CUDA_VISIBLE_DEVICES="")["machine.gpu"].found.endswith("=none")


@pytest.mark.parametrize(
    ("lines", "fact"),
    [
        ('echo "Failed to initialize NVML" >&2; exit 18', "exit code 18: Failed to initialize"),
        ('echo "No devices were found"; exit 6', "exit code 6: No devices were found"),
        ("exit 0", "exit code 0: no answer"),
    ],
)
def test_a_gpu_that_does_not_answer(
    tool: Callable[[str], None],
    run_doctor: Callable[..., dict[str, Finding]],
    lines: str,
    fact: str,
) -> None:
    """Jobs for the GPU would fail here, and doctor say that all is well."""
    tool(lines)
    finding = run_doctor()["machine.gpu"]
    assert finding.level == "warning"
    assert fact in finding.found
    assert "--gpus all" in finding.mend


def test_a_tool_that_hangs(
    tool: Callable[[str], None],
    run_doctor: Callable[..., dict[str, Finding]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Doctor would hang with a GPU that has fallen off its bus."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    tool(f"read line < {pipe}")  # Nobody ever writes.
    monkeypatch.setattr(gpu, "PATIENCE_SECONDS", 0.1)
    finding = run_doctor()["machine.gpu"]
    assert (finding.level, "gives no answer" in finding.found) == ("warning", True)
