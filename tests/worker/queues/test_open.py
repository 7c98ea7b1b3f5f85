"""From the text of a setting to the queue it names."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from outlast.worker.queues import open_queue
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.queues.sqs import SqsQueue

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "https://sqs.eu-west-1.amazonaws.com/123456789012"


@pytest.mark.parametrize(
    "url", ["sqs://jobs", "sqs://jobs.fifo", f"{ACCOUNT}/jobs", "http://localhost:4566/0/jobs.fifo"]
)
def test_sqs_is_named_by_name_or_url(url: str) -> None:
    """A documented form of OUTLAST_QUEUE would be refused."""
    assert isinstance(open_queue(url), SqsQueue)


def test_sqlite_is_named_by_its_path(tmp_path: Path) -> None:
    """The default queue would not open, or open somewhere else."""
    queue = open_queue(f"sqlite:///{tmp_path}/folder/outlast.db")
    assert isinstance(queue, SqliteQueue)
    queue.close()
    assert (tmp_path / "folder" / "outlast.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "jobs",
        "sqlite:///",
        "sqlite:///~no-such-user/q.db",
        "sqs://",
        "sqs://a b",
        "sqs://a/b",
        "ftp://x/jobs",
        ACCOUNT + "/",
    ],
)
def test_another_form_is_named_with_the_right_ones(url: str) -> None:
    """A person with a typing mistake would be left to guess."""
    expected = f"queue {url!r}: give sqlite:///path, sqs://queue-name or the https URL"
    with pytest.raises(ValueError, match=re.escape(expected)):
        open_queue(url)


def test_a_password_is_not_shown() -> None:
    """The password of a URL set in the wrong place would end in a log."""
    with pytest.raises(ValueError, match=r"redis://\*\*\*@host/0") as caught:
        open_queue("redis://user:s3cret/@host/0")
    assert "s3cret" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """A person would not learn which file to mend."""
    (tmp_path / "file").write_text("not a database, and long enough to be read as one" * 100)
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(QueueUnavailable, match=f"queue {path}"):
            open_queue(f"sqlite:///{path}")


def test_a_file_with_tables_of_someone_elses_is_named(tmp_path: Path) -> None:
    """A person would be told of a column that they never heard of."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE messages (text)")
    open_queue(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as theirs:
        theirs.executescript("DROP TABLE outlast_messages; CREATE TABLE outlast_messages (text)")
    with pytest.raises(QueueUnavailable, match=f"queue {path}: its tables are not Outlast's; ch"):
        open_queue(f"sqlite:///{path}")


def test_the_embedded_queue_does_without_boto3(tmp_path: Path) -> None:
    """Every command on the embedded queue would start a third of a second later."""
    program = (
        "import sys; from outlast.worker.queues import open_queue;"
        "open_queue(sys.argv[1]).close(); sys.exit('boto3' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, f"sqlite:///{tmp_path}/q.db"], check=True)
