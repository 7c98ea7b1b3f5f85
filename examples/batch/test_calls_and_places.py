"""One call of a function, and where items are read and results written."""

from __future__ import annotations

import base64
import errno
import json
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from outlast import NonRetryable
from outlast.testing import assert_resumable

from batch_items import calls, functions
from batch_items.places import Bucket
from batches import (
    KERNEL,
    OF_ABC,
    PICTURE,
    SHA256,
    THUMBNAIL,
    batch,
    lines,
    result_of,
)


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


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file from an old disk would end the job."""
    name = b"\xe9.txt".decode(errors="surrogateescape")
    try:
        (tmp_path / name).write_bytes(b"\xff")
    except OSError:  # This disk has no such names: one is as good that is not there.
        pass
    result = assert_resumable(KERNEL, batch(folder=str(tmp_path), items=json.dumps(name).encode()))
    assert lines(result)[0]["item"] == name
    assert result.errors[0].startswith(r"\udce9.txt: Un")
