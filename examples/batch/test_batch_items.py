"""The kernel `batch`: a line for each item, wherever it is stopped and however it is divided."""

from __future__ import annotations

import base64
import errno
import json
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from outlast import NonRetryable, Resources, UnknownKernel
from outlast.testing import assert_resumable

from batch_items import Batch, calls, functions, kernel
from batch_items.models import BatchParams, BatchPart, BatchPartial, BatchPlan, BatchResult
from batch_items.places import Bucket

KERNEL = Batch()
WORDS = "batch_items.functions:word_count"
SHA256 = "batch_items.functions:sha256"
THUMBNAIL = "batch_items.functions:thumbnail"
OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
PICTURE = b"P5\n64 32\n255\n" + bytes(range(64)) * 32


def batch(**params: Any) -> BatchParams:
    """Return the parameters of a job."""
    return BatchParams.model_validate({"call": WORDS} | params)


def result_of(params: BatchParams) -> BatchResult:
    """Return the result of a run that nothing stops."""
    _, result = ended(KERNEL.run(params, None, Resources()))
    assert isinstance(result, BatchResult)
    return result


def ended(steps: Any) -> tuple[list[Any], Any]:
    """Return what a generator yields, and what it returns."""
    yielded = []
    while True:
        try:
            yielded.append(next(steps))
        except StopIteration as end:
            return yielded, end.value


def lines(result: BatchResult) -> list[Any]:
    """Return the lines of a result."""
    return [json.loads(line) for line in (result.results or b"").splitlines()]


def divided(params: BatchParams, seed: int) -> BatchResult:
    """Return the result of parts that are cut, stopped and combined by chance."""
    chance = Random(seed)
    plan = BatchPlan.model_validate_json(KERNEL.plan(params).model_dump_json())
    pieces = KERNEL.pieces(plan)
    inside = chance.sample(range(1, pieces), k=chance.randrange(pieces))
    cuts = [0, *sorted(inside), pieces]
    ranges = list(pairwise(cuts))
    done = {each: stopped(plan, *each, chance) for each in chance.sample(ranges, len(ranges))}
    row = [done[each] for each in ranges]
    while len(row) > 1:
        at = chance.randrange(len(row) - 1)
        row[at : at + 2] = [KERNEL.combine(plan, row[at], row[at + 1])]
    return KERNEL.conclude(params, plan, row[0])


def stopped(plan: BatchPlan, first: int, last: int, chance: Random) -> BatchPartial:
    """Return what a part comes to that goes back to one of its states, and on from there."""
    states, _ = ended(KERNEL.part(plan, first, last, None, Resources()))
    kept: BatchPart = deepcopy(chance.choice(states))
    _, partial = ended(KERNEL.part(plan, first, last, kept, Resources()))
    assert isinstance(partial, BatchPartial)
    return partial


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of texts, of which one is none."""
    path = tmp_path / "texts"
    (path / "deep").mkdir(parents=True)
    (path / "a.txt").write_text("one two\nthree\n")
    (path / "b.txt").write_bytes(b"\xff\xfe not UTF-8")
    (path / "deep" / "c.txt").write_text("four\n")
    (path / "other.md").write_text("")
    return path


@pytest.fixture
def in_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """The answers of S3, in the order in which a test adds them; nothing else is asked."""
    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with closing(client):
        stubber = Stubber(client)
        monkeypatch.setattr("boto3.client", lambda _: client)
        with stubber:
            yield stubber
        stubber.assert_no_pending_responses()


def body(data: bytes) -> dict[str, Any]:
    """Return S3's answer to who reads an object."""
    return {"Body": StreamingBody(BytesIO(data), len(data))}


def test_values_are_items_and_each_has_a_line() -> None:
    """A batch would lose a result, or give one to another item."""
    result = assert_resumable(KERNEL, batch(items=["one two", "", "3\n"]))
    assert lines(result) == [
        {"item": "one two", "result": {"lines": 0, "words": 2, "characters": 7}},
        {"item": "", "result": {"lines": 0, "words": 0, "characters": 0}},
        {"item": "3\n", "result": {"lines": 1, "words": 1, "characters": 2}},
    ]
    assert (result.count, result.failed, result.errors, result.files) == (3, 0, [], [])


def test_an_error_is_the_items_own() -> None:
    """One bad item of a million would cost all others."""
    result = assert_resumable(KERNEL, batch(call=SHA256, items=["abc", 5, "abc"]))
    wrong = "TypeError: the function takes text, and this is int"
    good = {"item": "abc", "result": OF_ABC}
    assert lines(result) == [good, {"item": 5, "error": wrong}, good]
    assert (result.failed, result.errors) == (1, [f"5: {wrong}"])


def test_a_folders_files_are_items(folder: Path) -> None:
    """A person would have to list the files, or would miss those in folders below."""
    result = assert_resumable(KERNEL, batch(folder=str(folder), pattern="**/*.txt"))
    assert [line["item"] for line in lines(result)] == ["a.txt", "b.txt", "deep/c.txt"]
    assert lines(result)[0]["result"] == {"lines": 2, "words": 3, "characters": 14}
    assert result.errors == [
        "b.txt: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: "
        "invalid start byte"
    ]


def test_what_is_listed_stays_what_is_done(folder: Path) -> None:
    """A job whose folder changes would leave out files, or do some twice."""
    params = batch(folder=str(folder), pattern="*.txt")
    steps = KERNEL.run(params, None, Resources())
    state = next(steps)
    steps.close()
    (folder / "0.txt").write_text("")
    (folder / "a.txt").unlink()
    _, result = ended(KERNEL.run(params, state, Resources()))
    assert [line["item"] for line in lines(result)] == ["a.txt", "b.txt"]
    assert result.errors[0] == "a.txt: Unreadable: No such file or directory"


def test_a_name_that_is_no_text(folder: Path) -> None:
    """A file from an old disk would end the job."""
    name = b"\xe9.txt".decode(errors="surrogateescape")
    try:
        (folder / name).write_bytes(b"\xff")
    except OSError:  # This disk has no such names: one is as good that is not there.
        pass
    result = assert_resumable(KERNEL, batch(folder=str(folder), items=json.dumps(name).encode()))
    assert lines(result)[0]["item"] == name
    assert result.errors[0].startswith(r"\udce9.txt: Un")


def test_any_cuts_give_the_same_result(folder: Path) -> None:
    """The result would depend on how many workers there were."""
    many = [str(number) if number % 7 else number for number in range(60)]
    for params in (batch(items=many), batch(folder=str(folder))):
        alone = result_of(params)
        assert alone.failed
        assert [divided(params, seed) for seed in range(20)] == [alone] * 20


def test_files_are_the_same_however_it_is_cut(tmp_path: Path) -> None:
    """A reader of the files would find some items twice, and others in no file."""
    many = [str(number) for number in range(25)]
    written = []
    for seed in range(6):
        out = tmp_path / str(seed)
        params = batch(items=many, out=str(out), items_a_file=3)
        result = divided(params, seed) if seed else assert_resumable(KERNEL, params)
        assert (result.results, result.files[0], result.files[-1]) == (
            None,
            "00-02.jsonl",
            "24-24.jsonl",
        )
        assert sorted(path.name for path in out.iterdir()) == result.files
        written.append(b"".join((out / name).read_bytes() for name in result.files))
    assert written == [result_of(batch(items=many)).results] * 6


def test_a_large_batch_has_at_most_1_000_files() -> None:
    """A bucket would be filled with a file for each of a million items."""
    plan = KERNEL.plan(batch(items=["x"] * 2_001, out="/nowhere"))
    assert (KERNEL.pieces(plan), plan.file(0), plan.file(666)) == (
        667,
        "0000-0002.jsonl",
        "1998-2000.jsonl",
    )


def test_large_items_are_a_larger_share(tmp_path: Path) -> None:
    """One part would take as long as all others together."""
    for name, size in (("a", 0), ("b", 64 << 10), ("c", 128 << 10)):
        (tmp_path / name).write_bytes(bytes(size))
    plan = KERNEL.plan(batch(folder=str(tmp_path)))
    assert [KERNEL.share(plan, first) for first in range(4)] == [0, 1 / 6, 3 / 6, 1]
    plan = KERNEL.plan(batch(items=["a", "bbb"]))
    assert [KERNEL.share(plan, first) for first in range(3)] == [0, 0.5, 1]


def test_only_what_failed_is_done_again(folder: Path) -> None:
    """A person would pay for a million items to mend three, or pick them out by hand."""
    first = result_of(batch(folder=str(folder)))
    assert (first.count, first.failed) == (4, 1)
    (folder / "b.txt").write_text("mended\n")
    again = result_of(batch(folder=str(folder), items=first.results))
    assert [line["item"] for line in lines(again)] == ["b.txt"]
    assert (again.count, again.failed) == (1, 0)
    with pytest.raises(NonRetryable, match="none of them has an error"):
        result_of(batch(folder=str(folder), items=again.results))


def test_a_file_of_items() -> None:
    """A list of texts would be taken for numbers, or a blank line for an item."""
    text = b'\xef\xbb\xbfone\r\n\n 2 \n{"x": 1}\n[draft] three\n"four\\n"\n[1, 2]\n' + b"[" * 10**5
    plan = KERNEL.plan(batch(items=text))
    items = [json.loads(line) for line in plan.items.split("\n")]
    assert items == ["one", " 2 ", {"x": 1}, "[draft] three", "four\n", [1, 2], "[" * 10**5]
    with pytest.raises(NonRetryable, match="not text in UTF-8"):
        KERNEL.plan(batch(items=b"\xff"))


def test_more_errors_than_allowed_end_the_job() -> None:
    """A batch that is wrong as a whole would run, and cost, to its end."""
    many = ["x", 1, "x", 2, "x", 3]
    assert result_of(batch(items=many, max_errors=3)).failed == 3
    params = batch(items=many, max_errors=1)
    with pytest.raises(NonRetryable, match=r"2 of the items failed, .*max_errors=1.* 1: TypeError"):
        result_of(params)
    for seed in range(20):
        with pytest.raises(NonRetryable, match="max_errors=1"):
            divided(params, seed)


def test_the_errors_listed_are_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a job would have a million errors."""
    monkeypatch.setattr(kernel, "MAX_ERRORS_LISTED", 3)
    params = batch(items=list(range(9)))
    alone = result_of(params)
    assert (alone.failed, [error[0] for error in alone.errors]) == (9, ["0", "1", "2"])
    assert [divided(params, seed) for seed in range(9)] == [alone] * 9


def test_a_save_sends_the_last_results_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each save of a long batch would send all results again."""
    monkeypatch.setattr(kernel, "CHUNK_BYTES", 200)
    params = batch(items=["x"] * 20)
    states, result = ended(KERNEL.run(params, None, Resources()))
    assert len(states[-1].part.lines) == 7
    for before, after in pairwise(states):
        assert after.part.lines[: len(before.part.lines) - 1] == before.part.lines[:-1]
    assert b"".join(states[-1].part.lines) == result.results
    assert all(state.plan is states[0].plan for state in states)


def test_objects_below_a_prefix_are_items(in_bucket: Stubber) -> None:
    """A listing of more than 1,000 objects would end at its first page."""
    asked = {"Bucket": "b", "Prefix": "in/"}
    page: dict[str, Any] = {"IsTruncated": True, "NextContinuationToken": "more"}
    page["Contents"] = [{"Key": "in/", "Size": 0}, {"Key": "in/y", "Size": 1 << 20}]
    in_bucket.add_response("list_objects_v2", page, asked)
    page = {"IsTruncated": False, "Contents": [{"Key": "in/x/1", "Size": 3}]}
    in_bucket.add_response("list_objects_v2", page, asked | {"ContinuationToken": "more"})
    in_bucket.add_response("get_object", body(b"abc"), {"Bucket": "b", "Key": "in/x/1"})
    in_bucket.add_client_error("get_object", "NoSuchKey")
    result = result_of(batch(call=SHA256, prefix="s3://b/in/"))
    assert lines(result) == [
        {"item": "x/1", "result": OF_ABC},
        {"item": "y", "error": "Unreadable: NoSuchKey"},
    ]


def test_results_are_written_to_a_bucket(in_bucket: Stubber) -> None:
    """Results would be lost, or be where nobody looks for them."""
    line = json.dumps({"item": "abc", "result": OF_ABC}) + "\n"
    wanted = {"Bucket": "b", "Key": "out/0-0.jsonl", "Body": line.encode()}
    in_bucket.add_response("put_object", {}, wanted)
    assert result_of(batch(call=SHA256, items=["abc"], out="s3://b/out")).files == ["0-0.jsonl"]


@pytest.mark.parametrize(
    ("code", "kind"), [("SlowDown", ClientError), ("NoSuchBucket", NonRetryable)]
)
def test_a_bucket_that_does_not_answer_is_no_items_fault(
    in_bucket: Stubber, code: str, kind: type[Exception]
) -> None:
    """A batch would list a million errors because S3 was away for a minute."""
    place = Bucket("s3://b/in/", in_bucket.client)
    for method, call in (
        ("list_objects_v2", lambda: list(place.found(""))),
        ("put_object", lambda: place.write("x", b"")),
        ("get_object", lambda: place.read("x")),
    ):
        in_bucket.add_client_error(method, code)
        with pytest.raises(ClientError if method == "get_object" else kind, match=code):
            call()


def test_the_examples_have_the_answers_that_are_known() -> None:
    """A person would begin from functions that are wrong."""
    small = functions.thumbnail(PICTURE)
    assert small == b"P5 32 16 255\n" + bytes(range(0, 64, 2)) * 16
    assert functions.thumbnail(b"P5 2 1 255 ab") == b"P5 2 1 255\nab"
    with pytest.raises(ValueError, match="it has 1 pixels, not 2 times 1"):
        functions.thumbnail(b"P5 2 1 255 a")
    assert functions.sha256(b"abc") == OF_ABC


def test_bytes_of_a_result_are_base64(tmp_path: Path) -> None:
    """A function could not return a picture."""
    (tmp_path / "picture.pgm").write_bytes(PICTURE)
    (line,) = lines(assert_resumable(KERNEL, batch(call=THUMBNAIL, folder=str(tmp_path))))
    assert base64.b64decode(line["result"]["base64"]) == functions.thumbnail(PICTURE)


@pytest.mark.parametrize(
    ("result", "error"),
    [
        ({1, 2}, "TypeError: Object of type set is not JSON serializable"),
        (float("nan"), "ValueError: Out of range float values are not JSON compliant"),
        (ZeroDivisionError("a\n  b"), "ZeroDivisionError: a b"),
    ],
)
def test_whatever_a_function_does_is_one_line(
    monkeypatch: pytest.MonkeyPatch, result: object, error: str
) -> None:
    """An item's error would be several lines, or a result that nobody can read."""

    def function(value: list[int]) -> object:
        value.clear()
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(functions, "mine", calls.each_item(function), raising=False)
    done = result_of(batch(call="batch_items.functions:mine", items=[[1, 2]]))
    (line,) = lines(done)
    assert (line["item"], line["error"][: len(error)]) == ([1, 2], error)
    assert done.errors[0].startswith(f"[1, 2]: {error}")


def test_a_function_can_end_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A licence that has run out would be a million errors."""

    def function(value: object) -> object:
        raise NonRetryable("no licence")

    monkeypatch.setattr(functions, "mine", calls.each_item(function), raising=False)
    with pytest.raises(NonRetryable, match="no licence"):
        result_of(batch(call="batch_items.functions:mine", items=[1]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("os:system", "mark the function with @each_item"),
        ("batch_items.functions:nothing", "there is no 'nothing' in 'batch_items.functions'"),
        ("batch_items.nowhere:word_count", "No module named 'batch_items.nowhere'"),
    ],
)
def test_what_cannot_be_called_ends_the_job(call: str, message: str) -> None:
    """A job could run any function of a worker, or fail for each item anew."""
    with pytest.raises(NonRetryable, match=message):
        KERNEL.plan(batch(call=call, items=["x"]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "there are no items"),
        ({"items": []}, "there are no items"),
        ({"folder": "/a", "prefix": "s3://b/c"}, "give one of the two"),
        ({"folder": "a"}, "folder"),
        ({"prefix": "http://b/c"}, "prefix"),
        ({"items": ["x"], "out": "here"}, "out"),
        ({"items": ["x"], "items_a_file": 5}, "give out as well"),
        ({"prefix": "s3://b/c", "pattern": "*.txt"}, "give folder as well"),
        ({"items": ["x"], "call": "words"}, "call"),
        ({"items": 5}, "items"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(wrong: dict[str, Any], message: str) -> None:
    """A typing mistake would fail on a worker, minutes later."""
    with pytest.raises(ValueError, match=message):
        batch(**wrong)


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    """A mistyped pattern would succeed, with nothing done."""
    with pytest.raises(NonRetryable, match=f"no file in {tmp_path} is named like"):
        KERNEL.plan(batch(folder=str(tmp_path), pattern="*.txt"))
    with pytest.raises(NonRetryable, match="items: give names"):
        KERNEL.plan(batch(folder=str(tmp_path), items=[5]))


def test_a_folder_that_cannot_be_written_ends_the_job(tmp_path: Path) -> None:
    """A job would do its items five times, and then say nothing of use."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NonRetryable, match=r"cannot write in '.*/file'"):
        result_of(batch(items=["x"], out=str(tmp_path / "file")))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_is_there_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader would take half of a file for all of it, where a disk was full."""
    params = batch(items=["x"], out=str(tmp_path))
    result_of(params)
    whole = (tmp_path / "0-0.jsonl").read_bytes()

    def write_half(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        result_of(params)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"0-0.jsonl": whole}


def test_a_worker_says_what_it_lacks(tmp_path: Path) -> None:
    """A job would fail on a worker that cannot do it, in place of waiting for one that can."""
    KERNEL.require(batch(folder=str(tmp_path)))
    with pytest.raises(UnknownKernel, match="there is no folder '/nowhere' here"):
        KERNEL.require(batch(folder="/nowhere"))
    with pytest.raises(UnknownKernel, match="'nobodys' is not installed here"):
        KERNEL.require(batch(call="nobodys.module:function", items=["x"]))
