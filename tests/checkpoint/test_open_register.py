"""The URL that chooses a store."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from outlast.checkpoint.errors import InvalidStoreUrl
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.registers.redis import RedisRegister
from outlast.checkpoint.registers.s3 import S3Register
from outlast.checkpoint.safe_text import redacted, without_secrets
from outlast.checkpoint.sqlite_url import sqlite_path

IMPORTS = """
import sys
from outlast.checkpoint.registers import open_register
open_register(sys.argv[1])
print({"boto3", "redis"} & set(sys.modules))
"""


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///some/outlast.db", "some/outlast.db"),
        ("sqlite:////var/lib/outlast.db", "/var/lib/outlast.db"),
        ("sqlite:///~/outlast.db", "/home/ada/outlast.db"),
        ("sqlite:////tmp/a b%20c?d.db", "/tmp/a b%20c?d.db"),
    ],
)
def test_the_path_of_a_file(url: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs would be stored where nobody looks for them."""
    monkeypatch.setenv("HOME", "/home/ada")
    assert sqlite_path(url) == Path(path)


def test_a_file_is_opened_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first command on a fresh machine would fail."""
    monkeypatch.chdir(tmp_path)
    with closing(open_register("sqlite:///new/folder/outlast.db")) as register:
        register.put("jobs/one", b"first", expected=None)
    assert (tmp_path / "new/folder/outlast.db").exists()


@pytest.mark.parametrize(
    "url",
    ["redis://host", "redis://u:p@host:6379/2", "rediss://host:1/0?ssl_cert_reqs=none"],
)
def test_redis_urls(url: str) -> None:
    """A URL that redis-py takes would be refused."""
    with closing(open_register(url)) as register:
        assert isinstance(register, RedisRegister)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [("s3://my.bucket-1", ""), ("s3://bucket/", ""), ("s3://bucket/a/b/", "a/b/")],
)
def test_s3_urls(url: str, prefix: str) -> None:
    """Workers would look for jobs below another prefix than the one that was set."""
    with closing(open_register(url)) as register:
        assert isinstance(register, S3Register)
        assert register._bucket.prefix == prefix


@pytest.mark.parametrize(
    "url",
    [
        "",
        "outlast.db",
        "sqlite://outlast.db",
        "sqlite:///",
        "sqlite:///~no-such-user/outlast.db",
        "postgres://host/db",
        "redis://",
        "redis:///0",
        "redis://host:port/0",
        "redis://host/jobs",
        "redis://host?no_such_option=1",
        "redis://host?socket_timeout=soon",
        "s3://",
        "s3://Bucket/prefix",
        "s3://bucket/prefix?region=eu",
    ],
)
def test_a_bad_url_names_the_accepted_forms(url: str) -> None:
    """A person would get a traceback, or jobs be stored in an unexpected place."""
    with pytest.raises(
        InvalidStoreUrl, match=r"^no store has the URL '.*' \(OUTLAST_STORE\); use sqlite:///path,"
    ):
        open_register(url)


def test_a_bad_endpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would get a traceback, and not learn which variable is wrong."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "notaurl")
    with pytest.raises(InvalidStoreUrl, match=r"^s3://jobs: .*notaurl; correct AWS_ENDPOINT_URL$"):
        open_register("s3://jobs")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@host/jobs",
        "redis://me:s3/cret@host:6379/0",
        "redis://me:s3@cret@host:x/0",
        "redis://host?password=s3cret&no_such_option=1",
        "redis+cluster://me:s3cret@host/1",
        "redis+sentinel://host/m?sentinel_password=s3cret&no_such_option=1",
        "postgres://me:s3cret@host/db",
    ],
)
def test_a_password_never_reaches_a_message(url: str) -> None:
    """The password would stand in a log that others read."""
    with pytest.raises(InvalidStoreUrl) as caught:
        open_register(url)
    assert "cret" not in str(caught.value)
    assert "***" in redacted(url)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("redis://me:pass@host/jobs", "the database is a number"),
        ("redis://host/0/jobs", "only a queue has a name behind the database"),
        ("redis://host:port/0?socket_timeout=5", "the port is a number up to 65535"),
        ("redis+cluster://host:70000", "the port is a number up to 65535"),
        ("rediss://me:pass@host:6379/0?sokcet_timeout=5", "redis-py has no such option as"),
        ("redis+sentinel://host/master?socket_timeout=soon", "redis-py has no such option as"),
    ],
)
def test_what_is_wrong_with_a_url_of_redis_is_named(url: str, hint: str) -> None:
    """A person would compare a URL letter by letter with forms that it seems to have."""
    with pytest.raises(InvalidStoreUrl, match=f"; {hint}"):
        open_register(url)


@pytest.mark.parametrize("password", ["p@ss/w", "p/w", "p?w", "p#w"])
def test_a_password_with_a_sign_of_urls_is_explained(password: str) -> None:
    """A person would compare the password with itself, and see nothing wrong."""
    with pytest.raises(InvalidStoreUrl, match="; percent-encode user name and password: %2F for /"):
        open_register(f"redis://:{password}@host:6379/0")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('at "http://me:p/w@host:1/a".', 'at "http://***@host:1/a".'),
        ("(http://host/a?token=x'y); see", "(http://host/a?***); see"),
        ('{"a": "redis://:p@@h/0?password=x"}', '{"a": "redis://***@h/0?***"}'),
        ("http://a:b@c and https://d:e@f?g", "http://***@c and https://***@f?***"),
        ("mail me@host, ok? https://host/a", "mail me@host, ok? https://host/a"),
    ],
)
def test_a_text_is_shown_without_the_secrets_of_its_urls(text: str, shown: str) -> None:
    """What boto3 says of an endpoint would give its password away, or be unreadable."""
    assert without_secrets(text) == shown


def test_a_file_needs_neither_boto3_nor_redis(tmp_path: Path) -> None:
    """Each command on the embedded store would start 0.3 s later."""
    command = [sys.executable, "-c", IMPORTS, f"sqlite:///{tmp_path}/outlast.db"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.strip() == "set()"
