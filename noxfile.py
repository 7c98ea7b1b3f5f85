"""Runs the suite on every installed Python: signals behave differently between them."""

import shutil

import nox

nox.options.default_venv_backend = "venv"

PYTHONS = [v for v in ("3.11", "3.12", "3.13", "3.14") if shutil.which(f"python{v}")]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Install the project and run its tests; arguments go to pytest."""
    session.install("--editable", ".[test]")
    session.run("pytest", "-q", *session.posargs)
