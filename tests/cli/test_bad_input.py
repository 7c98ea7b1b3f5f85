"""What is wrong is told in one line that names it, with the right exit code, and loses nothing."""

from __future__ import annotations

import importlib
import json
import resource
import socket
import sqlite3
import subprocess
import sys
from importlib.metadata import distribution
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from outlast.kernel import registry
from outlast.worker.cli.errors import report
from outlast.worker.queues.message import Message
from tests.cli.process import OUTLAST, assert_one_line
from tests.servers import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, Start
    from tests.servers import Server

NTH = ("run", "nth-prime")
OLD = ("--older-than", "30d")
ESTIMATE = ("estimate", "nth-prime", "position=5")

USAGE = {
    "zero": ((*NTH, "position=0"), "position='0': Input should be greater than or equal to 1"),
    "negative": ((*NTH, "position=-1"), "position='-1'"),
    "a fraction": ((*NTH, "position=1.5"), "position='1.5': Input should be a valid integer"),
    "a word": ((*NTH, "position=abc"), "position='abc': Input should be a valid integer"),
    "nothing": ((*NTH, "position="), "position='': Input should be a valid integer"),
    "a power": ((*NTH, "position=10^30"), "position='10^30'"),
    "too much": ((*NTH, f"position={10**30}"), "less than or equal to 10^22"),
    "digits": ((*NTH, "position=" + "9" * 5000), "position='9999"),
    "missing": (NTH, "parameter 'position' is missing; its parameters: position"),
    "unknown": ((*NTH, "position=1", "x=2"), "there is no parameter 'x'"),
    "twice": ((*NTH, "position=1", "position=2"), "'position' is given twice"),
    "no key": ((*NTH, "7"), "'7' is not a parameter: write key=value"),
    "slash": (("status", "a/b"), "job id 'a/b' cannot be used: take 1 to 128 letters"),
    "long": (("status", "a" * 300), "cannot be used"),
    "empty": (("status", ""), "job id '' cannot be used"),
    "unicode": (("cancel", "jöb"), "job id 'jöb' cannot be used"),
    "newline": (("result", "job\n"), r"job id 'job\n' cannot be used"),
    "new id": ((*NTH, "position=1", "--job-id", "../x"), "job id '../x' cannot be used"),
    "command": (("frobnicate",), "No such command 'frobnicate'"),
    "option": (("status", "x", "--frob"), "No such option: --frob; see outlast status --help"),
    "no id": (("status",), "Missing argument 'JOB_ID'; see outlast status --help"),
    "surplus": (("checkpoints", "x", "y"), "unexpected extra argument"),
    "seconds": (("worker", "--slice-seconds", "0"), "--slice-seconds"),
    "nan": (("worker", "--max-idle-seconds", "nan"), "--max-idle-seconds"),
    "endless": (("wait", "x", "--timeout-seconds", "inf"), "--timeout-seconds"),
    "an age without a unit": (("list", "--older-than", "30"), "'30' is no duration: write 90s"),
    "no tag": (("list", "--tag", ""), "tag '' cannot be used"),
    "slices": (("worker", "--max-slices", "0"), "--max-slices"),
    "no equals sign": ((*NTH, "position"), "'position' is not a parameter: write key=value"),
    "a value alone": ((*NTH, "=7"), "'=7' is not a parameter: write key=value"),
    "status": (
        ("list", "--status", "done"),
        "'done' is none of queued, running, paused, succ",
    ),
    "a year": (("list", "--older-than", "1y"), "'1y' is no duration: write 90s, 15m, 12h, 7d or"),
    "limit": (("list", "--limit", "-1"), "--limit"),
    "watch both": (("watch", "a", "--tag", "x"), "name jobs, or choose them by filters, not both"),
    "watch slash": (("watch", "a/b"), "job id 'a/b' cannot be used"),
    "interval": (("watch", "a", "--interval", "0"), "--interval"),
    "prune all": (("prune", "--yes"), "Missing option '--older-than'"),
    "prune unasked": (
        ("prune", *OLD),
        "nobody can be asked here: give --yes, or --dry-run to",
    ),
    "prune soon": (("prune", "--older-than", "soon", "--yes"), "'soon' is no duration"),
    "prune future": (("prune", "--older-than", "-1d", "--yes"), "'-1d' is no duration"),
    "prune status": (("prune", *OLD, "--status", "done", "--yes"), "'done' is none of queued, "),
    "cost of none": (("cost",), "give job ids or --all, and not both"),
    "cost of both": (("cost", "a", "--all"), "give job ids or --all, and not both"),
    "cost of a tag": (("cost", "--tag", "nightly"), "give job ids or --all, and not both"),
    "cost filtered": (("cost", "a", "--tag", "nightly"), "filters choose from --all"),
    "estimate": (("estimate", "nth-prime", "position=0"), "nth-prime: position='0'"),
    "estimate what": (("estimate", "nobody", "x=1"), "unknown kernel 'nobody'"),
    "factor": ((*ESTIMATE, "--calibrate", "--core-factor", "0"), "core-factor"),
    "cores": ((*ESTIMATE, "--also", "runpod"), "write PLATFORM=CORES"),
    "platform": ((*ESTIMATE, "--also", "a\nb=2"), "write PLATFORM=CORES"),
    "little memory": ((*ESTIMATE, "--memory-mb", "64"), "128"),
    "long timeout": ((*ESTIMATE, "--timeout-seconds", "901"), "900"),
    "redrive none": (("dlq", "redrive"), "give the ids of dead letters, or --all"),
    "drop none": (("dlq", "drop"), "give the ids of dead letters, or --all"),
    "drop both": (("dlq", "drop", "--all", "1"), "give the ids of dead letters, or --all"),
    "beyond counting": (("dlq", "list", "--limit", "9" * 30), "--limit"),
    "doctor": (("doctor", "--functoin", "f"), "No such option: --functoin"),
    "json": ((*NTH, "position=0", "--json"), "position='0'"),
}


@pytest.mark.parametrize(("words", "message"), USAGE.values(), ids=USAGE)
def test_a_wrong_command_line(
    words: tuple[str, ...], message: str, outlast: Outlast, client: Client
) -> None:
    """A person would start or lose jobs by a slip, or search a traceback for what they mistyped."""
    now = client.jobs.clock
    client.jobs.clock = lambda: now() - 40 * 86_400
    client.create("tally", {"steps": 1}, job_id="old")
    client.cancel("old")
    assert_one_line(outlast(*words), 2, message)
    assert list(client.jobs.ids()) == ["old"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "OUTLAST_STORE",
            "postgres://db",
            "no store has the URL 'postgres://db' (OUTLAST_STORE); use sqlite",
        ),
        (
            "OUTLAST_QUEUE",
            "kafka://q",
            "no queue has the URL 'kafka://q' (OUTLAST_QUEUE); use sqlite:///path, redis",
        ),
        ("OUTLAST_STORE", "valkey://h", "; write redis:// or rediss:// for Valkey"),
        ("OUTLAST_QUEUE", "valkeys://h", "; write redis:// or rediss:// for Valkey"),
        ("OUTLAST_SLICE_SECONDS", "soon", "OUTLAST_SLICE_SECONDS='soon': "),
        ("OUTLAST_SLICE_SECOND", "5", "did you mean OUTLAST_SLICE_SECONDS?"),
        ("OUTLAST_SPEED", "11", "unknown setting OUTLAST_SPEED; the settings are: OUTLAST_BLOBS"),
    ],
)
def test_a_wrong_setting(
    name: str,
    value: str,
    message: str,
    *,
    outlast: Outlast,
    monkeypatch: pytest.MonkeyPatch,
    client: Client,
) -> None:
    """A mistyped setting would be ignored, and jobs be stored where nobody looks for them."""
    monkeypatch.setenv(name, value)
    assert_one_line(outlast("submit", "tally", "steps=1"), 2, message)
    assert list(client.jobs.ids()) == []


@pytest.mark.parametrize(
    "words",
    [(word, "no-such") for word in ("status", "result", "wait", "cancel", "cost", "watch")],
)
def test_a_job_that_does_not_exist(words: tuple[str, ...], outlast: Outlast) -> None:
    """A typo in an id would look like a fault of the store, or wait for ever."""
    assert_one_line(outlast(*words), 1, "there is no job 'no-such' in this store")


@pytest.mark.parametrize("command", ["run", "submit"])
def test_an_id_that_is_taken(command: str, outlast: Outlast) -> None:
    """One computation would answer for another."""
    assert outlast("submit", "tally", "steps=1", "--job-id", "a").code == 0
    ended = outlast(command, "tally", "steps=2", "--job-id", "a")
    assert_one_line(ended, 1, "job a exists with other parameters")


def test_a_redis_that_does_not_answer(outlast: Outlast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would not know which server to start; or the log would hold its password."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unheard.getsockname()[1]}"
        monkeypatch.setenv("OUTLAST_STORE", f"redis://:hidden@{address}/0")
        for words in (("status", "x"), ("submit", "tally", "steps=1"), ("worker",), ("list",)):
            ended = outlast(*words)
            assert_one_line(ended, 1, f"redis at {address}")
            assert "hidden" not in ended.err


ENDPOINT = "http://me:hidden@127.0.0.1:{}"


@pytest.mark.parametrize(
    "variables",
    [
        {"OUTLAST_STORE": "s3://jobs", "AWS_ENDPOINT_URL": ENDPOINT},
        {"OUTLAST_STORE": "s3://jobs", "AWS_ENDPOINT_URL": "http://me:hid/hidden@127.0.0.1:{}"},
        {"OUTLAST_STORE": "s3://jobs", "HTTPS_PROXY": ENDPOINT},
        {"OUTLAST_QUEUE": "sqs://jobs", "AWS_ENDPOINT_URL_SQS": ENDPOINT},
        {"OUTLAST_QUEUE": f"{ENDPOINT}/000000000000/jobs"},
        {"OUTLAST_QUEUE": "sqs://jobs", "AWS_ENDPOINT_URL": ENDPOINT, "OUTLAST_LOG_FORMAT": "json"},
        {"OUTLAST_STORE": "redis://127.0.0.1:{}/0?password=hidden"},
        {"OUTLAST_QUEUE": "redis://me:hidden@127.0.0.1:{}/0/jobs"},
    ],
    ids=["S3", "almost a URL", "proxy", "SQS", "queue", "JSON", "option", "queue in Redis"],
)
def test_no_password_in_a_url_is_shown(
    variables: dict[str, str], outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand in a log, a ticket or a recorded terminal."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(port))
        for line in ("submit tally steps=1", "--debug worker --max-idle-seconds 0.1", "doctor"):
            ended = outlast(*line.split())
            assert ended.code in {1, 2}, line
            assert str(port) in ended.err + ended.out, line
            assert "hidden" not in ended.err + ended.out, line


def test_no_password_is_shown_of_what_boto3_says_to_doctor(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that is pasted into a ticket would hold it."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setenv("AWS_ENDPOINT_URL", ENDPOINT.format(free_ports(1)[0]))
    ended = outlast("doctor", "--function", "f", "--debug")
    assert "\nunknown  function.look: EndpointConnectionError" in ended.out
    assert "Traceback" in ended.err
    assert "hidden" not in ended.err + ended.out


def test_no_password_is_shown_of_an_unforeseen_error(capfd: pytest.CaptureFixture[str]) -> None:
    """It would stand in the log of whatever runs the command."""
    assert report(ValueError(ENDPOINT), debug=True) == 1
    said = capfd.readouterr().err
    assert "\noutlast: ValueError: http://***@127.0.0.1" in said
    assert "hidden" not in said


def test_a_queue_that_does_not_exist(
    outlast: Outlast, ministack: Server, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    """A worker would look healthy and never work; a submission would seem lost."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://no-such-queue")
    monkeypatch.setenv("OUTLAST_LOG_LEVEL", "WARNING")
    assert_one_line(outlast("worker"), 1, "queue sqs://no-such-queue: ")
    ended = outlast("submit", "tally", "steps=1", "--job-id", "a")
    assert_one_line(ended, 1, "job a is stored but was not woken")
    assert client.status("a").usage.slices_begun == 0


def test_a_bucket_that_does_not_exist(
    outlast: Outlast, ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would not know that it is the bucket that is missing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", "s3://no-such-bucket/jobs")
    for words in (("run", "tally", "steps=1"), ("worker",)):
        assert_one_line(outlast(*words), 1, "s3://no-such-bucket")


def test_a_folder_that_cannot_be_written(
    outlast: Outlast, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would not know which folder it is."""
    (folder / "file").touch()
    monkeypatch.setenv("OUTLAST_STORE", f"sqlite:///{folder}/file/jobs.db")
    assert_one_line(outlast("run", "tally", "steps=1"), 1, f"{folder}/file/jobs.db: ")


def test_a_disk_without_space(start: Start, client: Client) -> None:
    """A job would be half stored, or a traceback would hide that the disk is full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    for number in range(60):  # The file is larger than the limit before the command comes.
        client.create("tally", {"steps": 1}, job_id=f"old-{number}")
    ended = start("run", "tally", "steps=1", "--job-id", "new", preexec_fn=limit).end()
    assert ended.code == 1
    assert "outlast.db: the disk" in ended.err
    assert "Traceback" not in ended.err
    assert "new" not in client.jobs.ids()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'a text that is longer than twenty-eight bytes'", "job a: not a record of Outlast: "),
        ("x'0102030405060708'", "job a: not a record of Outlast: its first bytes are foreign"),
        ("substr(value, 1, 60)", "job a: a damaged record: its head does not have its checksum"),
    ],
)
def test_a_record_that_is_not_ours(
    value: str, message: str, outlast: Outlast, folder: Path, client: Client
) -> None:
    """A foreign value would be overwritten; or one bad record would hide all other jobs."""
    client.create("tally", {"steps": 1}, job_id="a")
    client.create("tally", {"steps": 1}, job_id="b")
    with sqlite3.connect(folder / "outlast.db") as connection:
        change = f"UPDATE outlast_register SET value = {value} WHERE key = 'jobs/a'"
        assert connection.execute(change).rowcount == 1
    connection.close()
    for words in (("status", "a"), ("run", "tally", "steps=1", "--job-id", "a"), ("cancel", "a")):
        assert_one_line(outlast(*words), 1, message)
    ended = outlast("list")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert message in ended.err
    assert "\nb " in ended.out


def test_a_message_that_is_not_ours(outlast: Outlast, client: Client) -> None:
    """A foreign message would stop the worker, or vanish without a trace."""
    client.submit("tally", job_id="a", steps=1)
    client.queue.send(Message.model_construct(job_id="a b", slice=1))
    client.queue.send(Message(job_id="never-submitted"))
    ended = outlast("worker", "--max-idle-seconds", "1")
    assert ended.code == 0
    assert (
        "left for other workers or the dead-letter queue: not a message of this system" in ended.err
    )
    assert (
        "left for other workers or the dead-letter queue: there is no job 'never-submitted'"
        in ended.err
    )
    assert "Traceback" not in ended.err
    assert client.result("a") == {"total": 1}


@pytest.mark.parametrize("value", ["x'ff00'", "CAST(x'ff00' AS TEXT)"])
def test_a_message_that_is_no_text(
    value: str, outlast: Outlast, client: Client, folder: Path
) -> None:
    """A message of someone else's would end each worker that meets it, and no job go on."""
    client.submit("tally", job_id="a", steps=1)
    with sqlite3.connect(folder / "outlast.db") as connection:
        connection.execute(f"INSERT INTO outlast_messages (body, visible_at) VALUES ({value}, 0)")
    connection.close()
    ended = outlast("worker", "--max-idle-seconds", "0.5")
    assert ended.code == 0
    assert (
        "left for other workers or the dead-letter queue: not a message of this system" in ended.err
    )
    assert client.result("a") == {"total": 1}


def test_a_job_whose_kernel_fails(outlast: Outlast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would not see why their job failed, or see only a traceback."""
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")
    ended = outlast("run", "tally", "steps=3", "fails_at=1", "--job-id", "a")
    assert (ended.code, ended.out) == (1, "")
    assert "outlast: job a failed: RuntimeError: told to fail" in ended.err
    assert "Traceback" not in ended.err
    assert_one_line(outlast("result", "a"), 1, "job a failed: RuntimeError: told to fail")


@pytest.fixture
def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Install a package with one kernel, given its name and the module's text."""
    installed: list[str] = []

    def put(name: str, text: str) -> None:
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[outlast.kernels]\n{name} = {name}_:Made\n")
        (folder / f"{name}_.py").write_text(text)
        installed.append(f"{name}_")
        importlib.invalidate_caches()
        registry.load.cache_clear()

    monkeypatch.syspath_prepend(folder)
    yield put
    for module in installed:
        sys.modules.pop(module, None)
    registry.load.cache_clear()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import no_such_module", "ModuleNotFoundError("),
        ("raise SystemExit", "SystemExit("),
        ("raise BaseException('no')", "BaseException('no')"),
    ],
)
def test_a_package_that_is_broken(
    text: str, why: str, outlast: Outlast, install: Callable[[str, str], None]
) -> None:
    """A person would not know which package to mend."""
    install("broken", text)
    message = f"outlast: the entry point 'broken' (broken_:Made) cannot be loaded: {why}"
    for words, code in ((("kernels",), 1), (("warmup", "broken"), 1), (("submit", "broken"), 2)):
        ended = outlast(*words)
        assert (ended.code, ended.err.count("\n")) == (code, 1)
        assert ended.err.startswith(message)
    assert "\ntally  " in outlast("kernels").out


UNPREPARED = """
from tally import Tally
class Made(Tally):
    name = "unready"
    def prepare(self, params):
        raise {error}('no compiler')
"""


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit"])
def test_a_warmup_passes_over_what_is_broken(
    error: str,
    outlast: Outlast,
    install: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One bad package would leave every image without the compiled code of all kernels."""
    install("broken", "import no_such_module")
    install("unready", UNPREPARED.format(error=error))
    monkeypatch.setattr(registry, "names", lambda: ["broken", "tally", "unready"])
    ended = outlast("warmup")
    assert (ended.code, ended.out) == (1, "tally  ready after 0.0 s\n")
    lines = ended.err.splitlines()
    assert lines[0].startswith("outlast: the entry point 'broken' (broken_:Made) cannot be loaded")
    assert lines[1:] == [
        "outlast: preparing kernel tally",
        "outlast: preparing kernel unready",
        f"outlast: kernel unready did not prepare: {error}: no compiler",
    ]
    ended = outlast("warmup", "--json")
    assert (ended.code, [ready["kernel"] for ready in json.loads(ended.out)]) == (1, ["tally"])
    assert outlast("warmup", "tally").code == 0
    ended = outlast("warmup", "tally", "no-such")
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" in outlast("warmup", "unready", "--debug").err


def test_an_unknown_kernel_is_answered_by_those_that_there_are(outlast: Outlast) -> None:
    """A person who mistypes a name would have to look for the right one."""
    ours = distribution("outlast").entry_points.select(group=registry.GROUP).names
    known = ", ".join(sorted([*ours, "flock", "tally"]))
    message = f"outlast: unknown kernel 'no-such'; installed kernels: {known}\n"
    assert outlast("submit", "no-such", "a=1") == (2, "", message)


@pytest.mark.parametrize("words", [("--debug", "status", "x"), ("status", "x", "--debug")])
def test_debug_shows_the_traceback(words: tuple[str, ...], outlast: Outlast) -> None:
    """A developer could not find where an error comes from."""
    ended = outlast(*words)
    assert ended.err.startswith("Traceback")
    assert "outlast: there is no job 'x' in this store: " in ended.err
    assert ended.code == 1


def test_a_reader_that_leaves_is_no_error(client: Client) -> None:
    """`outlast list | head` would end in a traceback."""
    for number in range(3):
        client.create("tally", {"steps": 1}, job_id=f"job-{number}")
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
        gone.wait()
        assert gone.stdin is not None
        for words in (("list",), ("list", "--json"), ("--help",), ("status", "job-1")):
            done = subprocess.run(
                [OUTLAST, *words], stdout=gone.stdin, stderr=subprocess.PIPE, check=False
            )
            assert (done.returncode, done.stderr) == (1, b"")
