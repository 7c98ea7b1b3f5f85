"""The URL that chooses where the bytes of arrays are kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from outlast.checkpoint.blobs import default_blobs, folder_path, open_blobs
from outlast.checkpoint.blobs.s3 import S3Blobs
from outlast.checkpoint.errors import InvalidStoreUrl, StoreUnavailable

IMPORTS = """
import sys
from outlast.checkpoint.blobs import default_blobs, open_blobs
open_blobs(default_blobs("sqlite:////tmp/a.db"))
print({"boto3", "redis", "numpy"} & set(sys.modules))
"""


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/var/lib/blobs", "/var/lib/blobs"),
        ("~/blobs", "/home/ada/blobs"),
        ("file:///var/lib/a%20b", "/var/lib/a b"),
        ("/var/lib/a%20b", "/var/lib/a%20b"),
    ],
)
def test_the_path_of_a_folder(url: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays would be stored where no other worker looks for them."""
    monkeypatch.setenv("HOME", "/home/ada")
    assert folder_path(url) == Path(path)
    with closing(open_blobs(url)) as blobs:
        assert blobs.path_of("job/claim/0") == Path(path) / "job/claim/0.chunk"


@pytest.mark.parametrize(
    ("url", "key"),
    [("s3://my.bucket-1", "blobs/a/b/0"), ("s3://bucket/jobs/", "jobs/blobs/a/b/0")],
)
def test_the_keys_in_a_bucket(url: str, key: str) -> None:
    """They would stand among the jobs, where a list reads each as one."""
    with closing(open_blobs(url)) as blobs:
        assert isinstance(blobs, S3Blobs)
        assert blobs.at("a/b/0")["Key"] == key


@pytest.mark.parametrize(
    "url",
    [
        "",
        "./blobs",
        "~no-such-user/blobs",
        "file://host/blobs",
        "redis://host/0",
        "sqlite:///a.db",
        "s3://",
        "s3://Bucket/prefix",
        "s3://bucket/prefix?region=eu",
    ],
)
def test_a_bad_url_names_the_accepted_forms(url: str) -> None:
    """A person would get a traceback, or arrays be stored in an unexpected place."""
    with pytest.raises(
        InvalidStoreUrl, match=r"^no place of arrays has the URL '.*' \(OUTLAST_BLOBS\); use s3://"
    ):
        open_blobs(url)


def test_a_password_never_reaches_a_message() -> None:
    """It would stand in a log that others read."""
    with pytest.raises(InvalidStoreUrl) as caught:
        open_blobs("redis://me:s3cret@host/0")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("store", "place"),
    [
        ("sqlite:////var/lib/outlast.db", "/var/lib/outlast.db.blobs"),
        ("sqlite:///~/outlast.db", "/home/ada/outlast.db.blobs"),
        ("sqlite:///jobs/outlast.db", "/work/jobs/outlast.db.blobs"),
        ("s3://bucket/jobs", "s3://bucket/jobs"),
        ("redis://host/0", None),
        ("rediss://me:secret@host/0", None),
        ("sqlite:///", None),
        ("postgres://host/db", None),
    ],
)
def test_the_place_of_who_chooses_none(
    store: str, place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stores would remove each other's arrays, or two workers of one look apart."""
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setattr(Path, "cwd", classmethod(lambda _: Path("/work")))
    monkeypatch.setattr("os.getcwd", lambda: "/work")
    assert default_blobs(store) == place


@pytest.mark.usefixtures("new_aws_session")
def test_a_bucket_is_not_asked_before_a_chunk_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command on a job without arrays would need rights to a bucket and wait for it."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with (
        closing(open_blobs("s3://outlast-tests")) as blobs,
        pytest.raises(StoreUnavailable, match=r"^s3://outlast-tests: .*; set AWS_PROFILE"),
    ):
        list(blobs.names())


def test_a_folder_is_created_by_its_first_chunk(tmp_path: Path) -> None:
    """Every job would leave an empty folder beside its file."""
    with closing(open_blobs(f"{tmp_path}/blobs")) as blobs:
        assert list(blobs.names()) == []
        blobs.delete(["job/claim/0"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_needs_no_boto3() -> None:
    """Each command on the embedded store would start 0.3 s later."""
    command = [sys.executable, "-c", IMPORTS]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.strip() == "set()"
