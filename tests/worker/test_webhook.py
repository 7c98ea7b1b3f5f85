"""Webhooks, posted to a real HTTP server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from outlast.worker.notify.errors import Gone, NotDelivered
from outlast.worker.notify.notice import Notice
from outlast.worker.notify.notifier import Notifier
from outlast.worker.notify.signing import signature
from outlast.worker.settings import InvalidSettings, Settings, read_settings
from tests.cli.process import PATIENCE_SECONDS, until
from tests.servers import HOST, Server
from tests.tls import tls_before
from tests.worker.receiver import Receiver, receiver, talker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Of the specification's own test suite.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = base64.b64encode(bytes(32)).decode()
NOTICE = Notice("msg_1", "job-1", '{"type":"job.succeeded","name":"Zoë"}')


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A receiver on this machine."""
    with receiver() as receiving:
        yield receiving


def settings(target: Receiver, secret: str | None = SECRET) -> Settings:
    """Settings that allow the receiver."""
    return Settings.model_validate({"notify_secret": secret, "notify_hosts": target.host})


def test_a_signature_is_that_of_the_specification() -> None:
    """No library for Standard Webhooks would accept what is sent."""
    header = signature(
        Settings.model_validate({"notify_secret": SECRET}).notify_keys,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
    )
    assert header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_can_verify_a_notice(target: Receiver) -> None:
    """It would have to believe anyone's notices."""
    Notifier(settings(target, f"{SECRET} {OTHER}"))(target.url, NOTICE, 5.0)
    ((path, headers, body),) = target.requests
    assert path == "/done?for=me"
    assert body == NOTICE.body
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "msg_1"
    content = f"msg_1.{headers['webhook-timestamp']}.{body}".encode()
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    one, other = headers["webhook-signature"].split()
    assert one == "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    assert other == "v1," + base64.b64encode(hmac.digest(bytes(32), content, "sha256")).decode()


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_an_acceptance(target: Receiver, status: int) -> None:
    """A receiver would get a notice again and again."""
    target.answers = [status]
    Notifier(settings(target))(target.url, NOTICE, 5.0)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500, 503])
def test_any_other_status_is_an_error_and_no_redirect_is_followed(
    target: Receiver, status: int
) -> None:
    """A notice would be lost, or handed to whoever the answer names."""
    target.answers = [status]
    with pytest.raises(NotDelivered, match=str(status)) as caught:
        Notifier(settings(target))(target.url, NOTICE, 5.0)
    assert not isinstance(caught.value, Gone)
    assert len(target.requests) == 1


def test_410_means_never_again(target: Receiver) -> None:
    """A receiver that was taken down would be asked for a day."""
    target.answers = [410]
    with pytest.raises(Gone):
        Notifier(settings(target))(target.url, NOTICE, 5.0)


def test_a_receiver_that_does_not_answer_is_left(target: Receiver) -> None:
    """One silent receiver would hold a worker for ever."""
    target.answers = [0]
    with pytest.raises(NotDelivered):
        Notifier(settings(target))(target.url, NOTICE, 0.1)


def no_notice_is_under_way() -> bool:
    """Whether no thread is left of any notice."""
    return not [thread for thread in threading.enumerate() if thread.name == "outlast-notice"]


@pytest.mark.parametrize(
    ("scheme", "first", "again", "pause"),
    [
        ("http", b"", b"", 0.02),
        ("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99, 0),
        ("http", b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 99, 0),
        ("http", b"HTTP/1.1 200 OK\r\n", b"a", 0.02),
        ("http", b"", b"HTTP" * 999, 0),
        ("http", b"", b"SSH-2.0\r\n", 0.02),
        ("https", b"\x16\x03\x03\x40\x00\x02\x00\x30\x00", b"\x03", 0.02),
    ],
    ids=["silent", "interim", "headers", "slow-header", "line", "no-http", "slow-handshake"],
)
def test_a_receiver_that_never_comes_to_an_end_is_left_for_good(
    scheme: str, first: bytes, again: bytes, pause: float
) -> None:
    """Each notice to it would leave a thread, some of them with a core for ever."""
    with talker(first, again, pause) as host:
        deliver = Notifier(Settings.model_validate({"notify_secret": SECRET, "notify_hosts": host}))
        with pytest.raises(NotDelivered, match=r"no answer within 0\.3 s|its answer"):
            deliver(f"{scheme}://{host}/", NOTICE, 0.3)
        until(no_notice_is_under_way)


def test_a_certificate_is_verified(
    target: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stands in the way could take the notice, with the job's result, and drop it."""
    port = int(target.host.partition(":")[2])
    with tls_before(Server("receiver", target.url, port, tmp_path), tmp_path) as (
        tls_port,
        authority,
    ):
        host = f"{HOST}:{tls_port}"
        deliver = Notifier(Settings.model_validate({"notify_secret": SECRET, "notify_hosts": host}))
        with pytest.raises(NotDelivered, match="certificate verify failed"):
            deliver(f"https://{host}/", NOTICE, 5.0)
        assert target.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        deliver(f"https://{host}/done", NOTICE, 5.0)
    assert [path for path, _, _ in target.requests] == ["/done"]


def test_a_body_without_end_is_not_read() -> None:
    """A receiver could fill the worker's memory, or have each of its notices repeated."""
    with talker(b"HTTP/1.1 200 OK\r\n\r\n", b"body" * 9999, 0) as host:
        Notifier(Settings.model_validate({"notify_secret": SECRET, "notify_hosts": host}))(
            f"http://{host}/", NOTICE, 5.0
        )
        until(no_notice_is_under_way)


def test_a_name_that_takes_too_long_is_left_and_not_posted_to_later(
    target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow resolver would hold up the worker, or a notice come after its failure was logged."""
    resolved, look_up = threading.Event(), socket.getaddrinfo

    def slow(*words: Any, **options: Any) -> Any:
        assert resolved.wait(PATIENCE_SECONDS)
        return look_up(*words, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(NotDelivered, match="no answer"):
        Notifier(settings(target))(target.url, NOTICE, 0.1)
    resolved.set()
    until(no_notice_is_under_way)
    assert target.requests == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "https://a..b/", "https://127.0.0.1:1/", "https://127.0.0.1:99999/"],
)
def test_a_receiver_that_is_not_there_is_named_by_one_error(url: str) -> None:
    """A worker would end with a traceback for an address that somebody typed."""
    deliver = Notifier(
        Settings.model_validate({"notify_secret": SECRET, "notify_hosts": "127.0.0.1,a..b"})
    )
    with pytest.raises(NotDelivered):
        deliver(url, NOTICE, 5.0)


def test_proxies_of_the_environment_are_not_used(
    target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice, with its result, would go to a third party."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    Notifier(settings(target))(target.url, NOTICE, 5.0)
    assert len(target.requests) == 1


def test_a_worker_refuses_what_its_own_settings_do_not_allow(target: Receiver) -> None:
    """Who can write a record could have a worker post to any host, or run a command."""
    strict = settings(target)
    internal = ("https://169.254.169.254/", "http://localhost:9001/")
    for url in (*internal, "exec:touch x", "file:///x"):
        with pytest.raises(NotDelivered):
            Notifier(strict)(url, NOTICE, 5.0)
    with pytest.raises(NotDelivered, match="OUTLAST_NOTIFY_SECRET"):
        Notifier(settings(target, None))(target.url, NOTICE, 5.0)
    assert target.requests == []


@pytest.mark.parametrize("secret", ["", "hello", "whsec_", "whsec_c2hvcnQ=", f"{SECRET} x"])
def test_a_bad_secret_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """A worker would sign with nothing, or a log would hold the secret."""
    monkeypatch.setenv("OUTLAST_NOTIFY_SECRET", secret)
    with pytest.raises(InvalidSettings, match="OUTLAST_NOTIFY_SECRET=") as caught:
        read_settings()
    assert secret == "" or secret not in str(caught.value)
    assert "openssl" in str(caught.value) or secret == ""


def test_a_secret_is_in_no_text_of_the_settings(target: Receiver) -> None:
    """A traceback or a log line would give it away."""
    assert "MfKQ9r8" not in repr(settings(target)) + str(settings(target)) + json.dumps(
        settings(target).model_dump(mode="json")
    )
