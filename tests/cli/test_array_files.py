"""Arrays on a command line: parameters from files, results to files, and what is shown of both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pydantic
import pytest

from outlast import Array, Blob, InvalidParams, Kernel, Model
from outlast.checkpoint.blobs.contract import Chunk
from outlast.kernel import registry
from outlast.worker.cli.commands.kernels import _describe
from outlast.worker.cli.param_files import example_of, read_files
from outlast.worker.cli.params import params_for
from outlast.worker.jobs.result_files import CannotWrite, write_result
from outlast.worker.notify.notice import notice_of
from tests.cli.process import assert_one_line
from tests.field import Field, expected
from tests.records import checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson

SEED = np.linspace(0, 1, 7, dtype="f4")


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the kernel `field` beside the others."""
    info = tmp_path / "site" / "field-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: field\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[outlast.kernels]\nfield = tests.field:Field\n")
    monkeypatch.syspath_prepend(info.parent)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of numpy's."""
    np.save(tmp_path / "seed.npy", SEED)
    return tmp_path / "seed.npy"


def test_an_array_comes_from_a_file(outlast: Outlast, client: Client, file: Path) -> None:
    """A person would have to write a program to hand a kernel their data."""
    assert outlast("submit", "field", "steps=3", f"seed=@{file}", "--job-id", "a").code == 0
    assert outlast("submit", "field", "steps=3", f"seed=@{file}", "--job-id", "a").code == 0
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert client.result("a")["digest"] == expected(steps=3, seed=SEED).digest
    ran = outlast("run", "field", "steps=3", f"seed=@{file}", "--job-id", "b")
    assert ran.code == 0
    assert client.result("b")["digest"] == client.result("a")["digest"]
    np.save(file, SEED + 1)
    changed = outlast("submit", "field", "steps=3", f"seed=@{file}", "--job-id", "a")
    assert_one_line(changed, 1, "job a exists with other numbers in its arrays")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (("none.npy", None), "cannot be read: No such file or directory"),
        (("empty.npy", b""), "cannot be read: No data left in file"),
        (("text.npy", b"1 2 3"), "cannot be read: "),
        (("raw.bin", b"123"), "an Array is an array of numpy or a tensor, not bytes"),
    ],
)
def test_a_file_that_is_no_array_is_one_line(
    named: tuple[str, bytes | None], words: str, outlast: Outlast, client: Client, tmp_path: Path
) -> None:
    """A person would see a traceback of numpy's, and not which of their files is wrong."""
    name, content = named
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for command in ("submit", "run"):
        ended = outlast(command, "field", "steps=3", f"seed=@{path}")
        assert_one_line(ended, 2, words)
        assert str(path)[:50] in ended.err
    assert list(client.records()) == []


class Mixed(Model):
    """Parameters of every kind."""

    blob: Blob = b""
    either: Array | Blob | None = None
    text: str = ""
    numbers: list[int] = pydantic.Field(default_factory=list)


class Mixer(Kernel[Mixed, Mixed, Mixed]):
    """Takes them, and computes nothing."""

    name = "mixer"
    Params = State = Result = Mixed

    def run(self, params: Any, state: Any, resources: Any) -> Any:
        """Never run."""

    def progress(self, params: Any, state: Any) -> float:
        """Never asked."""


def test_only_an_array_or_a_blob_is_read_from_a_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that begins with @, a name or a password, would be opened as a file."""
    monkeypatch.setattr(registry, "load", lambda _: Mixer())
    words = [f"blob=@{file}", f"either=@{file}", "text=@nobody", "numbers=[1]"]
    params = params_for("mixer", words)
    assert params["blob"] == file.read_bytes()
    assert np.array_equal(params["either"], SEED)
    assert (params["text"], params["numbers"]) == ("@nobody", [1])
    with pytest.raises(InvalidParams, match=r"^mixer: blob='@/nowhere': cannot be read: No such"):
        read_files("mixer", Mixed, {"blob": "@/nowhere"})


def test_kernels_tell_which_parameters_are_files(outlast: Outlast) -> None:
    """A person would type numbers into the shell, or not know that a file is wanted."""
    shown = outlast("kernels").out
    assert "    seed=@file.npy  array or null (default: None)\n" in shown
    schemas = Mixed.model_json_schema()["properties"]
    kinds = {
        name: f"{example_of(schema)} {_describe(schema, is_required=True)}"
        for name, schema in schemas.items()
    }
    assert kinds == {
        "blob": "@file blob",
        "either": "@file.npy array or blob or null",
        "text": "... string",
        "numbers": "... array",
    }


SHOWN = {"array": "<f4", "shape": [7]}


def test_arrays_are_shown_by_type_and_shape_everywhere(
    outlast: Outlast, outlast_json: OutlastJson, client: Client, file: Path
) -> None:
    """One command would show where bytes lie in some row, and the next what they are."""
    ran = outlast("run", "field", "steps=3", "arrays=1", f"seed=@{file}", "--job-id", "a")
    assert 'field={"a0": {"array": "<f4", "shape": [7]}} trail={"blob": 24}' in ran.out
    for command in ("result", "wait"):
        assert outlast(command, "a").out == ran.out
        assert outlast_json(command, "a")["field"] == {"a0": SHOWN}
    [listed] = outlast_json("list")
    for view in (listed, outlast_json("status", "a")):
        assert view["params"]["seed"] == SHOWN
        assert view["result"]["field"] == {"a0": SHOWN}
    assert 'seed={"array": "<f4", "shape": [7]}' in outlast("list").out
    notice = json.loads(notice_of(client.status("a")).body)
    assert notice["data"]["result"]["trail"] == {"blob": 24}


def test_the_size_of_arrays_is_shown_with_their_checkpoint(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A state of gigabytes would look as one of a hundred bytes."""
    client.create("tally", {"steps": 3}, job_id="a")
    state = b'{"field":{"$array":"<f4","shape":[2000],"at":0}}'
    kept = checkpoint(state, chunks=[Chunk("a/claim/1", 8000, "0" * 64)])
    client.jobs.change("a", lambda record: record.saved(kept))
    [view] = outlast_json("checkpoints", "a")
    assert (view["array_bytes"], view["condition"]) == (8000, "intact")
    assert view["bytes"] < 8000
    assert outlast("checkpoints", "a", "--state").out == state.decode() + "\n"


def test_a_result_is_written_as_files(
    outlast: Outlast, outlast_json: OutlastJson, client: Client, tmp_path: Path
) -> None:
    """A person could not get what a job has computed without a program."""
    outlast("run", "field", "steps=3", "arrays=2", "--job-id", "a")
    out = tmp_path / "not" / "there"
    names = ["field.a0.npy", "field.a1.npy", "trail.bin", "result.json"]
    assert outlast("result", "a", "--out", str(out)) == (0, f"{out}: {', '.join(names)}\n", "")
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    result = client.result("a")
    assert np.array_equal(np.load(out / "field.a1.npy"), result["field"]["a1"])
    assert (out / "trail.bin").read_bytes() == result["trail"]
    rest = json.loads((out / "result.json").read_text())
    assert rest == {
        "digest": result["digest"],
        "field": {"a0": "field.a0.npy", "a1": "field.a1.npy"},
        "trail": "trail.bin",
    }
    (out / "trail.bin").write_bytes(b"of another job")
    told = outlast_json("result", "a", "--out", str(out))
    assert told == {"job_id": "a", "folder": str(out), "files": names}
    assert (out / "trail.bin").read_bytes() == result["trail"]
    (tmp_path / "taken").write_text("")
    ended = outlast("result", "a", "--out", str(tmp_path / "taken"))
    assert_one_line(ended, 1, f"cannot write in the folder '{tmp_path / 'taken'}': File exists")


def test_no_name_leaves_the_folder_or_hides_another(tmp_path: Path) -> None:
    """A key of a result would overwrite a file of the person's, or one array another."""
    result = {
        "../up": b"1",
        "/etc/passwd": b"2",
        "a": {"b": b"3"},
        "a.b": b"4",
        "A.B": b"5",
        "": b"6",
        "é\n": [b"7", {"x": 1}],
        "long" * 100: b"8",
        "..": b"9",
    }
    out = tmp_path / "here" / "out"
    files = write_result(result, out)
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    assert len({name.lower() for name in files}) == len(files) == 10
    assert max(map(len, files)) < 140
    rest = json.loads((out / "result.json").read_text())
    read = {key: (out / rest[key]).read_bytes() for key in result if isinstance(rest[key], str)}
    assert read == {key: value for key, value in result.items() if isinstance(value, bytes)}
    assert (out / rest["a"]["b"]).read_bytes() == b"3"
    assert rest["é\n"][1] == {"x": 1}


def test_a_file_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk would leave half of an array under the name of a whole one."""
    out = tmp_path / "out"
    write_result({"a": np.arange(3)}, out)

    def fails(file: Any, *_: object, **__: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.lib.format.write_array", fails)
    with pytest.raises(CannotWrite, match="No space left on device; make room"):
        write_result({"a": np.arange(4)}, out)
    assert np.array_equal(np.load(out / "a.npy"), np.arange(3))
    assert sorted(path.name for path in out.iterdir()) == ["a.npy", "result.json"]


def test_prune_removes_orphans(outlast: Outlast, client: Client, monkeypatch: Any) -> None:
    """What killed workers leave would fill the disk, or be removed while it was only looked at."""
    monkeypatch.setattr("outlast.worker.jobs.new_job.load", lambda _: Field())
    client.submit("field", job_id="mine", steps=3, seed=SEED)
    assert client.blobs is not None
    [chunk] = client.status("mine").chunks.values()
    client.blobs.copy(chunk, "mine/killed/1", client.blobs)
    orphans = "1 orphaned chunk of arrays"
    words = ("prune", "--older-than", "30d", "--orphans-after")
    assert outlast(*words, "1h", "--yes").out.startswith("0 jobs deleted in sqlite:///")
    looked = outlast(*words, "0s", "--dry-run")
    assert looked.out.splitlines()[1:] == [f"{orphans} would be deleted"]
    assert len([*client.blobs.names()]) == 2
    told = outlast(*words, "0s", "--yes", "--json")
    assert (told.code, told.out, told.err) == (0, "[]\n", f"outlast: {orphans} deleted\n")
    assert [found.name for found in client.blobs.names()] == [chunk.name]
    client.cancel("mine")
    words = ("prune", "--older-than", "0s", "--yes")
    assert outlast(*words).out.splitlines()[-1].startswith("1 job deleted in sqlite:///")
    assert [*client.blobs.names()] == []
