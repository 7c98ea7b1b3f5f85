"""The parameters of a batch, what is stored of it, and its result."""

from __future__ import annotations

from typing import Annotated, Any, Self

from outlast import Blob, Model
from pydantic import Field, model_validator

ALL_FILES = "**/*"
S3 = r"s3://[^/]+(/.*)?"


class BatchParams(Model):
    """A job's parameters: what to do, with what, and where to put the results."""

    call: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z]\w*(\.\w+)*:\w+$",
            description="package.module:function, marked with @each_item",
        ),
    ]
    items: Annotated[
        list[Any] | Blob | None,
        Field(description="a list, or @ and a file of lines; of names, with folder or prefix"),
    ] = None
    folder: Annotated[
        str, Field(pattern=r"^(/.*)?$", description="whose files are the items: an absolute path")
    ] = ""
    pattern: Annotated[str, Field(description="which files of the folder")] = ALL_FILES
    prefix: Annotated[
        str, Field(pattern=rf"^({S3})?$", description="s3://bucket/prefix, whose objects they are")
    ] = ""
    out: Annotated[
        str,
        Field(
            pattern=rf"^(/.*|{S3})?$",
            description="where to write the results: an absolute path or s3://; else they are kept",
        ),
    ] = ""
    items_a_file: Annotated[
        int | None, Field(ge=1, description="of out; else so many that there are up to 1,000 files")
    ] = None
    max_errors: Annotated[
        int | None, Field(ge=0, description="the job fails where more items do; else it never does")
    ] = None

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.folder and self.prefix:
            raise ValueError("the items are in a folder or below a prefix: give one of the two")
        if not (self.place or self.items):
            raise ValueError("there are no items: give items, folder or prefix")
        if self.pattern != ALL_FILES and not self.folder:
            raise ValueError("pattern is about the files of folder: give folder as well")
        if self.items_a_file and not self.out:
            raise ValueError("items_a_file is about the files of out: give out as well")
        return self

    @property
    def place(self) -> str:
        """Where the contents of the items are; "": they have none, each is its own value."""
        return self.folder or self.prefix


class BatchPlan(Model):
    """All that fixes what is done, and how it may be cut.

    Attributes:
        call: the function, as in the parameters.
        place: where the contents of the items are; "": each item is its own value.
        items: each as JSON, in a line of its own. One long text is read far faster than a list.
        before: how much work lies before each item, and before the end, in KiB. It is empty where
            no size is known: each item is as long as any other.
        count: how many items there are.
        a_piece: how many neighbouring ones always stay together, the last piece may have fewer:
            those of a file of `out`, else one.
        out: where each piece is written; "": nowhere, the results are kept.
        max_errors: with more of them the job fails; None: it never does.
    """

    call: str
    place: str
    items: str
    before: list[int]
    count: int
    a_piece: int
    out: str
    max_errors: int | None

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return -(-self.count // self.a_piece)

    def item_at(self, piece: int) -> int:
        """Return the number of the first item of a piece; that of the end is `count`."""
        return min(piece * self.a_piece, self.count)

    def share(self, item: int) -> float:
        """Return the share of the work that lies before an item, from 0 to 1."""
        if self.before:
            return self.before[item] / self.before[-1]
        return item / self.count

    def file(self, piece: int) -> str:
        """Return the name of the file that a piece is written to, the same each time."""
        digits = len(str(self.count - 1))
        begin, end = self.item_at(piece), self.item_at(piece + 1)
        return f"{begin:0{digits}}-{end - 1:0{digits}}.jsonl"


class BatchPart(Model):
    """How far a part is.

    Attributes:
        next: the number of the item that is next.
        failed: how many items of the part have failed.
        errors: a line for each of the first of them.
        lines: the results that are not written to `out`, in chunks: a save sends the last one only.
    """

    next: int
    failed: int = 0
    errors: list[str] = Field(default_factory=list)
    lines: list[Blob] = Field(default_factory=list)


class BatchPartial(Model):
    """What the items of a part come to.

    Attributes:
        failed: how many items have failed.
        errors: a line for each of the first of them.
        lines: the results; empty where they are written to `out`.
    """

    failed: int
    errors: list[str]
    lines: Blob


class BatchState(Model):
    """All that another worker needs to go on with a batch that is not divided.

    Attributes:
        plan: the JSON of the plan. As a blob it is sent once, not with every save.
        share: the share of the work that is done.
        part: how far the one part is that all items are in.
    """

    plan: Blob
    share: float
    part: BatchPart


class BatchResult(Model):
    """A job's result.

    Attributes:
        count: how many items there were.
        failed: how many of them have failed.
        errors: a line for each of the first of them: its name, the error's type and message.
        results: a line of JSON for each item, in their order: {"item": …, "result": …} or
            {"item": …, "error": …}; None: they are in files.
        files: the names of the files in `out`, in the order of the items.
    """

    count: int
    failed: int
    errors: list[str]
    results: Blob | None
    files: list[str]
