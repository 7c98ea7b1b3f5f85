"""outlast dashboard: the jobs on a page that a browser shows."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import print_json, say, warn_if_apart

if TYPE_CHECKING:
    from outlast.worker.settings import Settings

LEAST_TOKEN_CHARACTERS = 16
NEW_TOKEN = "python3 -c 'import secrets; print(secrets.token_urlsafe())'"  # noqa: S105 - makes one

Host = Annotated[
    str,
    typer.Option("--host", metavar="HOST", help="The address to listen at."),
]
Port = Annotated[
    int,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="The port; 0: any free one."),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="What a viewer must enter. Default: OUTLAST_DASHBOARD_TOKEN, which other users of "
        "this machine do not see.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="PATH",
        help="A file with the token; where there is none it is made, with a new token that only "
        "this user can read.",
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in your browser.")]


def dashboard(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8765,
    token: Token = None,
    token_file: TokenFile = None,
    opens: Open = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show jobs and workers in a browser, and steer the jobs.

    The page is served until Ctrl-C or SIGTERM. It needs the packages of the extra
    `outlast[dashboard]`, and nothing from the network.

    On this machine's own address everyone with an account on it may look and steer, unless there
    is a token. Any other address requires a token, of 16 characters or more. The connection is
    plain HTTP: between machines, put it behind a proxy with TLS or into an SSH tunnel.

    Examples:
        outlast dashboard --open
        ssh -L 8765:127.0.0.1:8765 server outlast dashboard
        OUTLAST_DASHBOARD_TOKEN=... outlast dashboard --host 0.0.0.0
        outlast dashboard --host 0.0.0.0 --token-file dashboard-token

    Exit codes:
        0  stopped by a signal
        1  the address is in use or not this machine's, or the store is at fault
        2  a package or the token is missing, the token is too short, its file cannot be read, or a
           setting is wrong
    """
    from outlast.worker.cli.logs import level_of, log_to_stderr
    from outlast.worker.jobs.client import Client
    from outlast.worker.settings import InvalidSettings, read_settings
    from outlast.worker.slices.deadline import Deadline

    settings = read_settings()
    token = _token(token, token_file, settings)
    try:
        from outlast.worker.dashboard.serve import EVERY_ADDRESS, Address, serve
    except ModuleNotFoundError as error:
        from outlast.kernel.extras import how_to_install

        raise InvalidSettings(
            f"the dashboard needs the package {error.name}: {how_to_install('dashboard')}"
        ) from None
    _require_token(host, token)

    def announce(url: str) -> None:
        if as_json:
            print_json({"url": url})
        else:
            also = ", and at every address of this machine" if host in EVERY_ADDRESS else ""
            print(f"the dashboard is at {url}{also}, until Ctrl-C")
        sys.stdout.flush()  # for the process that waits for the URL
        if opens:
            import webbrowser

            webbrowser.open(url)

    with Deadline() as stop:
        client = Client(settings=settings)
        warn_if_apart(settings)
        _warn_if_readable(host)
        log_to_stderr(level_of(settings, otherwise="WARNING"), debug=debug)
        serve(client, Address(host, port, token), stop=stop, announce=announce)


def _token(token: str | None, path: Path | None, settings: Settings) -> str | None:
    """Return what a viewer must enter, of an option or else of the settings; None: nothing."""
    if token is not None and path is not None:
        raise typer.BadParameter("give either --token or --token-file")
    if path is not None:
        return _token_in(path)
    if token is None and settings.dashboard_token is not None:
        return settings.dashboard_token.get_secret_value()
    return token


def _token_in(path: Path) -> str:
    """Return the token in a file, which is made where there is none."""
    try:
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise typer.BadParameter(f"--token-file {path}: {error.strerror}") from None
    else:
        with os.fdopen(new, "w") as file:
            file.write(secrets.token_urlsafe() + "\n")
        say(f"made a token, which is asked for: it is in {path}")
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise typer.BadParameter(f"--token-file {path}: {reason}") from None


def _require_token(host: str, token: str | None) -> None:
    from outlast.worker.dashboard.guard import is_loopback

    if token is None and not is_loopback(host):
        raise typer.BadParameter(
            f"others can reach {host}: give --token-file, a file that is made for you, or set "
            f"OUTLAST_DASHBOARD_TOKEN, for example to what this prints: {NEW_TOKEN}"
        )
    if token is not None and len(token) < LEAST_TOKEN_CHARACTERS:
        raise typer.BadParameter(
            f"the token is shorter than {LEAST_TOKEN_CHARACTERS} characters and could be guessed; "
            f"make one: {NEW_TOKEN}"
        )


def _warn_if_readable(host: str) -> None:
    """Say so if the token and the jobs go over a network as they are."""
    from outlast.worker.dashboard.guard import is_loopback

    if not is_loopback(host):
        say(
            "the dashboard speaks plain HTTP: where others can read the network, put a proxy with "
            "TLS before it, or use an SSH tunnel"
        )
