"""examples/batch as a user has it: installed beside Outlast, tested, and run in slices."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests import servers
from tests.new_user import ROOT, environment_in, shell
from tests.training import AWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

EXAMPLE = ROOT / "examples/batch"
OBJECTS = 1_010  # more than a page of a listing has


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's virtual environment, in which the example is installed."""
    home = tmp_path_factory.mktemp("home")
    environment = environment_in(home)
    shell(f"pip install --quiet '{EXAMPLE}'", home, environment)
    return environment


@pytest.fixture
def bucket(ministack: Server) -> Iterator[Any]:
    """A bucket `texts` with many small objects, and the client of it."""
    keys = {"aws_access_key_id": servers.ACCESS_KEY, "aws_secret_access_key": servers.SECRET_KEY}
    session = boto3.session.Session(region_name="us-east-1", **keys)
    with closing(session.client("s3", endpoint_url=ministack.url)) as client:
        client.create_bucket(Bucket="texts")
        for number in range(OBJECTS):
            client.put_object(Bucket="texts", Key=f"in/{number:04}", Body=b"word " * number)
        client.put_object(Bucket="texts", Key="in/none", Body=b"\xff")
        yield client


def test_its_own_tests_pass(environment: dict[str, str]) -> None:
    """A user would begin with an example that does not work."""
    assert "passed" in shell("pytest -q -p no:cacheprovider", EXAMPLE, environment)


def test_what_its_page_shows(tmp_path: Path) -> None:
    """A reader who types the first commands of the page would get something else."""
    folder = tmp_path / "batch"
    shutil.copytree(EXAMPLE, folder)
    begin, retry, _ = re.findall(r"```sh\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    shown = re.search(r"```json\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    environment = environment_in(tmp_path)
    assert shown is not None
    assert shell(begin, folder, environment).endswith(shown[1])
    again = shell(f"{retry}outlast result again --out again", folder, environment)
    assert json.loads((folder / "again/result.json").read_text())["failed"] == 0, again
    line = json.loads((folder / "again/results.bin").read_text())
    assert (line["item"], line["result"]["words"]) == ("b.txt", 1)


def test_a_bucket_in_short_slices(
    tmp_path: Path, environment: dict[str, str], bucket: Any, ministack: Server
) -> None:
    """Objects would be left out, or done twice, where one worker goes on from another."""
    line = "outlast run batch call=batch_items.functions:word_count prefix=s3://texts/in/"
    line += " out=s3://texts/out items_a_file=100 --job-id words --slice-seconds 0.5"
    at = (
        environment
        | AWS
        | {
            "AWS_ENDPOINT_URL_S3": ministack.url,
            "OUTLAST_STORE": f"sqlite:///{tmp_path}/outlast.db",
        }
    )
    shell(line, tmp_path, at)
    result = json.loads(shell("outlast result words --json", tmp_path, at))
    lines = [
        json.loads(line)
        for name in result["files"]
        for line in bucket.get_object(Bucket="texts", Key=f"out/{name}")["Body"].read().splitlines()
    ]
    assert [line["result"]["words"] for line in lines[:-1]] == list(range(OBJECTS))
    assert [error.split(":")[0] for error in result["errors"]] == ["none"]
    assert json.loads(shell("outlast status words --json", tmp_path, at))["slices"] > 1
