"""The training of examples/train on each platform, in processes of their own.

For its tests, and for `python -m bench training`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import numpy as np
from redis import Redis

from outlast.worker.jobs.client import Client
from outlast.worker.settings import Settings
from tests import servers
from tests.kernels import ROOT
from tests.new_user import environment_in, shell
from tests.runtimes import emulator, runpod_jobs
from tests.runtimes.event_source import EventSource, make_queue
from tests.runtimes.programs import running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from outlast.checkpoint.record import Record
    from tests.runtimes.programs import Program
    from tests.servers import Server

EXAMPLE = ROOT / "examples/train"
JOB = "text"
LIMIT_SECONDS = 300
LAMBDA_SECONDS = 15  # of an invocation: a cold one has to import torch, perhaps on a busy machine
ALL_STEPS = 10**9
COMMAND = [sys.executable, "-m", "outlast.worker.cli"]
AWS = {
    "AWS_ACCESS_KEY_ID": servers.ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": servers.SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


class Trained(NamedTuple):
    """What two trainings must have in common, to the last bit."""

    digest: str
    losses: tuple[float, ...]


def environment_with_example(home: Path) -> dict[str, str]:
    """Make a virtual environment as a user has it, with the example; return its variables."""
    environment = environment_in(home)
    shell(f"pip install --quiet '{EXAMPLE}'", home, environment)
    return environment


def uncut(
    folder: Path, environment: Mapping[str, str], params: Mapping[str, Any], *, steps: int = 0
) -> Trained | None:
    """Train in this folder without a worker, in one process; None: after so many steps it stops.

    It goes on from where a call before has stopped. 0 steps are all of them.
    """
    folder.mkdir(exist_ok=True)
    words = [folder, str(steps or ALL_STEPS), json.dumps(params)]
    answer = subprocess.run(
        ["python", "-m", "tests.training_slice", *words],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
    ).stdout
    digest, *losses = answer.split() or [""]
    return Trained(digest, tuple(map(float, losses))) if losses else None


@dataclass(frozen=True)
class Site:
    """A folder of logs and files, and the settings of all that work or ask there."""

    folder: Path
    env: dict[str, str]

    @classmethod
    def of(cls, environment: Mapping[str, str], folder: Path, store: str, **settings: str) -> Site:
        """Return the site that uses this store and the example of that environment."""
        (packages,) = Path(environment["HOME"]).glob("venv/lib/python*/site-packages")
        env = {"PATH": environment["PATH"], "HOME": str(folder), "PYTHONPATH": str(packages)}
        return cls(folder, env | AWS | {"OUTLAST_STORE": store} | settings)

    @classmethod
    def on_a_disk(cls, environment: Mapping[str, str], folder: Path, **settings: str) -> Site:
        """Return one whose jobs and messages are in one file, and their arrays beside it."""
        return cls.of(environment, folder, f"sqlite:///{folder}/outlast.db", **settings)

    def outlast(self, *words: object) -> str:
        """Return what the command prints, which must succeed."""
        command = [*COMMAND, *map(str, words)]
        done = subprocess.run(
            command,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self, params: Mapping[str, Any]) -> None:
        """Submit the training."""
        self.outlast("submit", "train-text", *_words(params), "--job-id", JOB)

    def status(self) -> Any:
        """Return what the command says of the job."""
        return json.loads(self.outlast("status", JOB, "--json"))

    def trained(self) -> Trained:
        """Return what has become of the training."""
        files = self.folder / "result"
        self.outlast("result", JOB, "--out", files)
        digest = json.loads((files / "result.json").read_text())["digest"]
        return Trained(digest, tuple(np.load(files / "losses.npy").tolist()))

    def record(self) -> Record:
        """Return the job, of a store that needs no settings of AWS's."""
        return Client(settings=Settings(store=self.env["OUTLAST_STORE"])).status(JOB)

    def worker(self, name: str, **settings: str) -> AbstractContextManager[Program]:
        """Run a plain worker within a block, as the `Program` that it is."""
        log = self.folder / f"{name}.log"
        return running([*COMMAND, "worker"], log=log, env=self.env | settings)


def _words(params: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in params.items()]


def train_here(site: Site, params: Mapping[str, Any], *, slice_seconds: float) -> None:
    """Train by `outlast run`, in slices of so many seconds."""
    line = ["run", "train-text", *_words(params), "--job-id", JOB]
    site.outlast(*line, "--slice-seconds", slice_seconds)


def train_with_a_kill(site: Site, params: Mapping[str, Any]) -> None:
    """Train by two plain workers, of which the one at work is killed after its first save."""
    site.submit(params)
    with site.worker("one") as one, site.worker("other") as other:
        by_pid = {program.process.pid: program for program in (one, other)}
        one.wait_until(lambda: site.record().usage.saves > 0)
        lease = site.record().lease
        assert lease is not None, "the training was over before its worker could be killed"
        killed = by_pid.pop(int(lease.worker.rpartition(":")[2]))
        killed.process.send_signal(signal.SIGKILL)
        (left,) = by_pid.values()
        left.wait_until(lambda: site.record().status.is_final)


def train_with_a_stop(site: Site, params: Mapping[str, Any]) -> tuple[int, Record]:
    """Train by a plain worker until it is asked to stop, soon after a save, and then by another.

    Return the steps of that save, and the job as the first worker has left it.
    """
    site.submit(params)
    with site.worker("one", OUTLAST_CHECKPOINT_SECONDS="0.5") as one:
        one.wait_until(lambda: site.record().usage.saves > 0)
        saved = site.record().usage.steps
        one.process.terminate()
        assert one.process.wait(LIMIT_SECONDS) == 0, one.tail()
    stopped = site.record()
    with site.worker("other") as other:
        other.wait_until(lambda: site.record().status.is_final)
    return saved, stopped


def train_on_lambda(
    site: Site, params: Mapping[str, Any], sqs: Server, *, timeout_seconds: int = LAMBDA_SECONDS
) -> None:
    """Train in AWS's emulator: for a second by calls, then invoked by the queue."""
    with (
        emulator.function(site.folder, site.env, timeout_seconds=timeout_seconds) as function,
        closing(EventSource(sqs.url, site.env["OUTLAST_QUEUE"], function.invoke)) as source,
    ):
        _begin(function.invoke, params)
        while (answer := source.turn(wait_seconds=1)) is not None:
            assert answer == {"batchItemFailures": []}, function.program.tail()
        assert function.kills == 0


def train_on_runpod(site: Site, params: Mapping[str, Any]) -> None:
    """Train in RunPod's own SDK: for a second by calls, then by one that empties the queue."""
    with runpod_jobs.worker(site.folder, site.env) as (server, program):
        _begin(lambda request: server.call(request)["output"], params)
        drained = server.call({"drain": True})
        assert drained["output"] == {"drained": True, "jobs": [JOB]}, program.tail()


def _begin(call: Callable[[Any], Any], params: Mapping[str, Any]) -> None:
    """Call a function until the training has begun; it is not over then."""
    answer = call({"kernel": "train-text", "params": params, "job_id": JOB, "max_seconds": 1})
    while not answer["progress"]:  # The first call prepares: it imports torch.
        assert answer["status"] == "queued", answer
        answer = call({"job_id": JOB, "max_seconds": 1})
    assert answer["status"] == "queued", answer


def with_s3(
    environment: Mapping[str, str], folder: Path, s3: Server, sqs: Server, **settings: str
) -> Site:
    """Return a site whose jobs and arrays are in a bucket, and its messages in SQS."""
    name = f"training-{os.urandom(4).hex()}"
    keys = {"aws_access_key_id": servers.ACCESS_KEY, "aws_secret_access_key": servers.SECRET_KEY}
    session = boto3.session.Session(region_name="us-east-1", **keys)
    with closing(session.client("s3", endpoint_url=s3.url)) as client:
        client.create_bucket(Bucket=name)
    queue = make_queue(sqs.url, name)
    settings |= {"AWS_ENDPOINT_URL_S3": s3.url, "AWS_ENDPOINT_URL_SQS": sqs.url}
    store = f"s3://{name}/jobs"
    return Site.of(environment, folder, store, OUTLAST_QUEUE=queue, **settings)


def with_redis(
    environment: Mapping[str, str], folder: Path, redis: Server, sqs: Server, **settings: str
) -> Site:
    """Return a site whose jobs are in Redis, its arrays in a folder, and its messages in SQS."""
    store, place = f"{redis.url}/8", {"OUTLAST_BLOBS": str(folder / "arrays")}
    with Redis.from_url(store) as connection:
        connection.flushdb()
    queue = make_queue(sqs.url, f"training-{os.urandom(4).hex()}")
    settings |= place | {"AWS_ENDPOINT_URL_SQS": sqs.url}
    return Site.of(environment, folder, store, OUTLAST_QUEUE=queue, **settings)
