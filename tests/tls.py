"""TLS before a server that speaks none, with a certificate that nobody else trusts."""

from __future__ import annotations

import socket
import socketserver
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.servers import HOST
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

BUFFER_BYTES = 65_536
HANDSHAKE = b"\x16"  # what TLS begins with


@contextmanager
def tls_before(
    behind: Server, folder: Path, *, takes_plain: bool = False
) -> Iterator[tuple[int, Path]]:
    """Run a TLS server that passes all on; give its port and the file with its authority.

    With `takes_plain` it passes on what comes without TLS, too.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=outlast"]
    words += ["-addext", f"subjectAltName=IP:{HOST}"]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def accept(client: socket.socket) -> socket.socket:
        if takes_plain and client.recv(1, socket.MSG_PEEK) != HANDSHAKE:
            return client
        return context.wrap_socket(client, server_side=True)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),  # a client that does not trust us, or that has gone
                accept(self.request) as client,
                socket.create_connection((HOST, behind.port)) as upstream,
            ):
                answers = threading.Thread(target=_pass_on, args=(upstream, client))
                answers.start()
                _pass_on(client, upstream)
                answers.join()

    server = socketserver.ThreadingTCPServer((HOST, 0), Handler)
    server.daemon_threads = True  # else a connection that a failed test left open would be awaited
    with serving(server):
        yield server.server_address[1], certificate


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(BUFFER_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
