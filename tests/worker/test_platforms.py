"""Where a worker says that it runs."""

from __future__ import annotations

import platform

import pytest

from outlast.checkpoint.record_parts import PlatformUsage, Usage
from outlast.worker.slices import platforms as ours


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}, f"lambda/{platform.machine()}/512"),
        ({"RUNPOD_ENDPOINT_ID": "e"}, "runpod"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "container"),
        ({}, "local"),
    ],
)
def test_each_platform_is_told_by_what_it_sets(
    environment, name, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job's bill would name the wrong platform, and so the wrong price."""
    monkeypatch.setattr(ours, "CONTAINER_FILES", ())
    assert ours.platform_of(environment) == name
    usage = Usage().with_slice(name, 1.0).model_dump_json()
    assert Usage.model_validate_json(usage).platforms[name] == PlatformUsage(slices=1, seconds=1.0)


def test_a_plain_container_is_told_by_its_root(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker sets no variable."""
    mark = tmp_path / ".dockerenv"
    mark.touch()
    monkeypatch.setattr(ours, "CONTAINER_FILES", (mark,))
    assert ours.platform_of({}) == "container"


@pytest.mark.parametrize(
    ("platform", "title"),
    [
        ("lambda/arm64/1769", "Lambda arm64 1769 MB"),
        ("lambda", "Lambda"),
        ("runpod/A40", "RunPod A40"),
        ("container", "container"),
        ("spot/c7g.large", "spot/c7g.large"),
    ],
)
def test_a_platform_has_a_name_for_people(platform: str, title: str) -> None:
    """A person would have to know how Outlast spells platforms."""
    assert ours.title_of(platform) == title
