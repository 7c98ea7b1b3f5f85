"""`outlast doctor` as a person and a script see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.servers import HOST, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.process import Outlast


def test_a_deployment_that_is_well(outlast: Outlast) -> None:
    """A new user would not know that all is right."""
    ended = outlast("doctor")
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert "ok       store.compare-and-set: a write on a stale version is refused" in lines
    assert lines[-1].split()[1].startswith("ok")


def test_a_deployment_with_an_error(outlast: Outlast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script would go on with a deployment that cannot work."""
    monkeypatch.setenv("OUTLAST_STORE", f"redis://:hidden@{HOST}:{free_ports(1)[0]}/0")
    ended = outlast("doctor")
    assert ended.code == 1
    assert "\nerror    store.reach: redis at 127.0.0.1" in ended.out
    assert "\n           breaks: no job can run\n" in ended.out
    assert "\n           mend: check that the server runs" in ended.out
    assert "hidden" not in ended.out + ended.err
    ended = outlast("doctor", "--json")
    assert ended.code == 1
    (reach,) = [f for f in json.loads(ended.out) if f["check"] == "store.reach"]
    assert list(reach) == ["level", "check", "found", "breaks", "mend"]
    assert reach["level"] == "error"


def test_a_wrong_setting_is_a_finding(outlast: Outlast, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there to explain a fault would fall over it."""
    monkeypatch.setenv("OUTLAST_SPEED", "11")
    ended = outlast("doctor")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith("error    settings.values: unknown setting OUTLAST_SPEED")


def test_debug_shows_why_a_check_failed(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """A developer could not find a fault in doctor itself."""
    monkeypatch.setattr("outlast.worker.doctor.sqlite_disk.MOUNTS", folder)

    def broken(_path: object) -> None:
        raise RuntimeError("not on this system")

    monkeypatch.setattr("outlast.worker.doctor.sqlite_disk.shutil.disk_usage", broken)
    ended = outlast("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert "unknown  store.look: RuntimeError: not on this system" in ended.out
    assert "Traceback" in outlast("doctor", "--debug").err
