"""From the text of a setting to the queue it names."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from outlast.worker.queues import open_dead_letters, open_queue, redis_place
from outlast.worker.queues.contract import InvalidQueueUrl, QueueUnavailable
from outlast.worker.queues.redis import RedisQueue
from outlast.worker.queues.redis_scripts import Keys
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


@pytest.mark.parametrize(
    ("url", "server", "name"),
    [
        ("redis://h", "redis://h", "jobs"),
        ("redis://h/", "redis://h/", "jobs"),
        ("rediss://u:p@h:6380/3", "rediss://u:p@h:6380/3", "jobs"),
        ("redis://h/0/nightly", "redis://h/0", "nightly"),
        ("redis://nightly:1/0/nightly?db=2", "redis://nightly:1/0?db=2", "nightly"),
        ("redis+cluster://h:1,h:2", "redis+cluster://h:1,h:2", "jobs"),
        ("rediss+cluster://h/0/nightly", "rediss+cluster://h/0", "nightly"),
        ("redis+sentinel://h,i:2/m", "redis+sentinel://h,i:2/m", "jobs"),
        ("redis+sentinel://h/m/3/nightly?db=1", "redis+sentinel://h/m/3?db=1", "nightly"),
        ("redis://h?db=2&socket_timeout=9", "redis://h?db=2&socket_timeout=9", "jobs"),
    ],
)
def test_redis_is_named_by_its_server_database_and_queue(url: str, server: str, name: str) -> None:
    """Workers with the same setting would wait at two queues."""
    assert redis_place(url) == (server, name)
    queue = open_queue(url)
    assert isinstance(queue, RedisQueue)
    assert queue._keys == Keys.of(name)
    queue.close()


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
        "redis://",
        "redis://h/jobs",
        "redis://h/0/{jobs}",
        "redis://h/0/jobs/more",
        "redis://h:port",
        "redis+cluster://h/1",
        "redis+cluster://h/jobs",
        "redis+sentinel://h",
        "redis+sentinel://h/m/jobs",
        ACCOUNT + "/",
    ],
)
def test_another_form_is_named_with_the_right_ones(url: str) -> None:
    """A person with a typing mistake would be left to guess."""
    expected = (
        f"no queue has the URL {url!r} (OUTLAST_QUEUE); use sqlite:///path, redis://host:port/0, "
        "redis+cluster://host:port, "
    )
    for opener in (open_queue, open_dead_letters):
        with pytest.raises(ValueError, match=re.escape(expected)):
            opener(url)


def test_an_unknown_option_is_refused_without_its_value() -> None:
    """A worker would start with a connection that it was not told to make, or log a password."""
    with pytest.raises(
        InvalidQueueUrl, match=r"no queue has the URL 'redis://h\?\*\*\*' \(OUTLAST_QUEUE\); use"
    ):
        open_queue("redis://h?pasword=s3cret")


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


@pytest.mark.parametrize("url", ["sqlite:///{}/q.db", "redis://h"])
def test_another_queue_than_sqs_does_without_boto3(url: str, tmp_path: Path) -> None:
    """Every command on such a queue would start a third of a second later."""
    program = (
        "import sys; from outlast.worker.queues import open_queue;"
        "open_queue(sys.argv[1]).close(); sys.exit('boto3' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, url.format(tmp_path)], check=True)
