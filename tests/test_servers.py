"""The servers that the other tests rely on."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
import pytest

from tests import servers

if TYPE_CHECKING:
    from tests.servers import Server

CHILD = """
import os, signal
from tests import servers
with servers.valkey() as server:
    print(server.port, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["ministack", "seaweedfs"])
def test_s3_answers(name: str, request: pytest.FixtureRequest) -> None:
    """Without it every test on S3 would fail for a reason of its own."""
    server: Server = request.getfixturevalue(name)
    client = boto3.client("s3", endpoint_url=server.url)
    client.create_bucket(Bucket="first")
    client.put_object(Bucket="first", Key="k", Body=b"v")
    assert client.get_object(Bucket="first", Key="k")["Body"].read() == b"v"


def test_a_server_that_fails_shows_its_log() -> None:
    """A person whose port or binary is wrong would be left with a bare timeout."""
    broken = servers._redis_like("broken", "/nonexistent/server")
    with pytest.raises(servers.NotUp, match=r"(?s)ended with code 127.*nonexistent"), broken:
        pass


def test_no_server_outlives_a_killed_test_run() -> None:
    """A killed run would leave servers behind that eat the machine's memory and ports."""
    ran = subprocess.run([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, check=False)
    port = int(ran.stdout)
    for _ in range(500):
        with socket.socket() as probe:
            probe.settimeout(0.1)
            if probe.connect_ex((servers.HOST, port)) != 0:
                return
    pytest.fail(f"a server still listens on port {port}")
