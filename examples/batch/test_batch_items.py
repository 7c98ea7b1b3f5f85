"""The kernel `batch`: a line for each item, wherever it is stopped and however it is divided."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from outlast import NonRetryable, Resources, UnknownKernel
from outlast.testing import assert_divisible, assert_resumable

from batch_items import kernel
from batch_items.models import BatchParams, BatchPart, BatchPartial, BatchPlan, BatchResult
from batches import (
    KERNEL,
    OF_ABC,
    SHA256,
    batch,
    ended,
    lines,
    result_of,
)


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


def test_any_cuts_give_the_same_result(folder: Path) -> None:
    """The result would depend on how many workers there were."""
    many = [str(number) if number % 7 else number for number in range(60)]
    for params in (batch(items=many), batch(folder=str(folder))):
        assert assert_divisible(KERNEL, params, divisions=8, interruptions=10).failed


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


def test_a_divided_batch_with_too_many_errors_ends_early() -> None:
    """A batch that is wrong as a whole would cost all of it where no part has that many errors."""
    plan = KERNEL.plan(batch(items=[1] * 4, max_errors=1))
    parts = [ended(KERNEL.part(plan, at, at + 1, None, Resources()))[1] for at in range(2)]
    with pytest.raises(NonRetryable, match="2 of the items failed"):
        KERNEL.combine(plan, *parts)


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


def test_a_worker_says_what_it_lacks(tmp_path: Path) -> None:
    """A job would fail on a worker that cannot do it, in place of waiting for one that can."""
    KERNEL.require(batch(folder=str(tmp_path)))
    with pytest.raises(UnknownKernel, match="there is no folder '/nowhere' here"):
        KERNEL.require(batch(folder="/nowhere"))
    with pytest.raises(UnknownKernel, match="'nobodys' is not installed here"):
        KERNEL.require(batch(call="nobodys.module:function", items=["x"]))
