"""How clients of AWS are made."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from botocore.loaders import JSONFileLoader

from outlast.checkpoint.aws_client import make_client

if TYPE_CHECKING:
    import pytest


def test_the_files_of_a_service_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each notice to a queue would take 50 ms longer, and so would a bucket beside a queue."""
    with closing(make_client("sqs")):
        pass
    read: list[str] = []
    load_file = JSONFileLoader.load_file

    def noting(self: JSONFileLoader, path: str) -> Any:
        read.append(path)
        return load_file(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", noting)
    with closing(make_client("sqs")), closing(make_client("lambda")):
        pass
    assert [path for path in read if "sqs" in path or "endpoints" in path] == []
    assert any("lambda" in path for path in read)


def test_each_client_reads_the_variables_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that turns to another region, or signs in again, would go on as it was."""
    for region in ("eu-west-1", "us-west-2"):
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", region)
        with closing(make_client("sqs")) as client:
            assert client.meta.region_name == region
            assert client._request_signer._credentials.access_key == region
