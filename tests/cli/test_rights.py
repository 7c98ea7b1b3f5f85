"""Every command with no more rights on Redis than docs/security.md lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.worker.cli.app import COMMANDS
from tests.redis_groups import Group
from tests.test_security import listed, on_a_queue

if TYPE_CHECKING:
    from tests.cli.process import Outlast
    from tests.servers import Server

# None of these opens the store; the dashboard opens it as `list` and the steering commands do.
WITHOUT_STORE = {"dashboard", "estimate", "help", "kernels", "new-kernel", "warmup"}
LINES = """
submit tally steps=30 --job-id a
pause a
resume a
run tally steps=3 --job-id b
list
status a
worker --slice-seconds 0.1 --max-idle-seconds 0.1
wait a --timeout-seconds 9
watch a
result a
history a
checkpoints a
cost a
fork a --job-id c
cancel c
retry c
sweep
dlq list
prune --older-than 9d --yes
delete a
prune --older-than 0s --yes
doctor
"""


@pytest.fixture(params=["a server", pytest.param("a cluster", marks=pytest.mark.chaos)])
def place(request: pytest.FixtureRequest) -> Group:
    """Servers of either kind, emptied."""
    if request.param == "a cluster":
        group: Group = request.getfixturevalue("three_nodes")
    else:
        server: Server = request.getfixturevalue("valkey_server")
        group = Group(server.url, [server])
    group.flush()
    return group


def test_the_rights_listed_for_redis_are_enough_for_every_command(
    outlast: Outlast, place: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator would grant what the page lists, and workers wake no lost job."""
    lines = [line.split() for line in LINES.strip().splitlines()]
    assert {line[0] for line in lines} | WITHOUT_STORE == {*COMMANDS, "dlq"}
    rights = [*listed("all on Redis")[0].split(), *listed("worker, sweep, delete, prune on Redis")]
    rights += on_a_queue("submit, steer") + on_a_queue("worker, sweep, dlq, doctor")
    if "cluster" in place.url:
        rights += listed("all on a cluster of Redis")[0].split()
    more = listed("doctor on Redis, more")[0].split()
    for name in ("OUTLAST_STORE", "OUTLAST_QUEUE"):
        monkeypatch.setenv(name, place.url.replace("//", "//outlast:s3cret@"))
    for line in lines:
        place.forget_scripts()
        with place.user([*rights, *(more if line == ["doctor"] else [])]):
            ended = outlast(*line)
        assert "permission" not in ended.out + ended.err, line
