"""docker-compose.yml: safe to run on anyone's machine, and the same tomorrow as today."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import pytest

from outlast.worker.settings import PREFIX, Settings
from tests.deploy.files import DEPLOY, ROOT, load

TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = load(ROOT / "docker-compose.yml")["services"]
LASTING = {name: service for name, service in SERVICES.items() if service["restart"] != "no"}
ENV_EXAMPLE = (ROOT / ".env.example").read_text()


def test_all_is_there():
    """Every kind of worker takes part, and what they need."""
    workers = {"worker", "lambda", "event-source", "runpod"}
    assert {"valkey", "aws", "create", "dashboard"} | workers <= set(SERVICES)
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_can_be_replaced(name: str):
    """`latest` is another program every week."""
    image = re.fullmatch(r"\$\{[A-Z]+_IMAGE:-([\w./-]+):([\w.-]+)\}", SERVICES[name]["image"])
    assert image
    assert re.search(r"\d", image[2])


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root_or_can_become_it(name: str):
    """A kernel is anyone's code."""
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_root_file_system_is_read_only(name: str):
    """As on Lambda: what works here works there."""
    assert SERVICES[name]["read_only"] is True


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_has_a_health_check(name: str):
    """`up --wait` and the order of the start depend on it."""
    assert LASTING[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_commands_have_no_shell(name: str):
    """A shell would keep SIGTERM from the worker, and every stop would be a kill."""
    assert isinstance(SERVICES[name].get("command", []), list)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name: str):
    """The store has no password here."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


# What workers and the stack's own programs are told, without what .env replaces.
SETTINGS = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "local/stack.env").read_text(), re.MULTILINE))
OURS = [name for name, service in SERVICES.items() if "outlast" in service["image"]]


def test_settings_are_known_ones():
    """An unknown one stops a worker at its start."""
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert {name for name in SETTINGS if name.startswith(PREFIX)} <= known


def test_arrays_have_a_place_that_is_made():
    """Kernels with arrays would fail here: Valkey has no room, and a folder is one container's."""
    assert SETTINGS["OUTLAST_BLOBS"].startswith(f"s3://{SETTINGS['BUCKET']}/")
    # A prune of the bucket as a store takes what is beside its jobs for its own.
    store = re.search(r"OUTLAST_STORE=(s3://\S+)", ENV_EXAMPLE)
    assert store
    assert store[1] != SETTINGS["OUTLAST_BLOBS"]


@pytest.mark.parametrize("name", OURS)
def test_settings_and_keys_come_from_files_alone(name: str):
    """A shell set up for a real deployment would put its bucket and its keys into the stack."""
    files = ["deploy/local/stack.env", {"path": ".env", "required": False}]
    assert SERVICES[name]["env_file"] == files
    # A name without a value is the shell's.
    environment = SERVICES[name].get("environment", {})
    assert all(isinstance(value, str | int) for value in environment.values())
    assert not {key for key in environment if key in SETTINGS}


def test_no_name_of_a_real_deployment_is_read_from_the_shell():
    """Compose prefers the shell's variables to those in .env."""
    read = set(re.findall(r"\$\{?(\w+)", TEXT))
    assert not {name for name in read if name in SETTINGS or name.startswith(PREFIX)}


def test_make_hides_the_shells_variables_from_compose():
    """Of two people with one .env each would have another stack."""
    shell = os.environ | dict.fromkeys(defaults(), "from-the-shell")
    for target in ("up", "down", "demo-stack"):
        command = ["make", "--silent", target, "COMPOSE=printenv #"]
        ran = subprocess.run(
            command, cwd=ROOT, env=shell, capture_output=True, text=True, check=True
        )
        assert "PATH=" in ran.stdout
        assert "from-the-shell" not in ran.stdout


def defaults() -> dict[str, str]:
    """Return what can be set in .env, with the values without it."""
    return dict(re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT)) | SETTINGS


def test_the_emulator_of_lambda_has_an_init():
    """Its image has none, as on AWS the first process is Lambda's own."""
    assert SERVICES["lambda"]["init"] is True


def test_what_must_last_is_on_a_volume():
    """Else the jobs end with the container."""
    for name in ("valkey", "aws"):
        assert [mount["source"] for mount in SERVICES[name]["volumes"]] == ["state"]


def test_the_example_names_every_variable():
    """Nobody should have to read the compose file to change a port."""
    assert dict(re.findall(r"^#?(\w+)=(.*)$", ENV_EXAMPLE, re.MULTILINE)) == defaults()


def test_the_dashboard_draws_its_own_token():
    """A token that stands in a file of the project is known to everyone."""
    service = SERVICES["dashboard"]
    _, path = service["command"][-2:]
    (mount,) = service["volumes"]
    assert service["command"][-2] == "--token-file"
    assert path.startswith(mount.removeprefix("state:") + "/")
    assert not {name for name in defaults() if "TOKEN" in name}
    assert path in (DEPLOY / "stack.mk").read_text(), "make up shows it"


def test_the_images_are_those_of_the_dockerfiles():
    """Two pins of one image would drift apart."""
    for dockerfile in DEPLOY.glob("*.Dockerfile"):
        argument = re.search(r"^ARG PYTHON_IMAGE=(.+)$", dockerfile.read_text(), re.MULTILINE)
        assert argument
        assert argument[1] in ENV_EXAMPLE
