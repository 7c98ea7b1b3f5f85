"""The disk that a SQLite file lies on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Finding

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"}
NETWORK |= {"smb3", "smbfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.mount-s3"}
PASSING = {"tmpfs": "is in memory and gone at the next start", "overlay": "goes with the container"}
# A record holds two states, and the log in front of the file holds a write once more.
STATES_FREE = 4
MOVE = "choose a path on a local disk for OUTLAST_STORE and OUTLAST_QUEUE"


def disk_findings(
    subject: str, path: Path, *, max_state_bytes: int, mounts: Path = MOUNTS
) -> Iterator[Finding]:
    """Yield what the file system of `path` means for a file that must keep what it is given.

    `mounts` is Linux's table of them; where there is none, only the space is looked at.
    """
    kind = file_system(path.resolve(), mounts.read_text()) if mounts.exists() else ""
    name = f"{subject}.disk"
    if kind in NETWORK:
        yield error(
            name,
            f"{path} is on a network file system ({kind})",
            breaks="SQLite's locks do not hold there: two workers can damage the file",
            mend=f"{MOVE}; for several machines use redis://, s3:// and sqs://",
        )
    elif kind in PASSING:
        breaks = f"the file {PASSING[kind]}, with all jobs"
        yield warning(name, f"{path} is on {kind}", breaks=breaks, mend=MOVE)
    else:
        yield ok(name, f"{path} is on a local disk{kind and f' ({kind})'}")
    yield _space(f"{subject}.space", path, STATES_FREE * max_state_bytes)


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of file system that `path` is on, by the last mount that holds it."""
    found, kind = -1, ""
    for row in mounts.splitlines():
        place, _, rest = row.partition(" - ")
        # Linux writes a space in a path as \040.
        point = Path(place.split()[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= found:
            found, kind = len(point.parts), rest.split()[0]
    return kind


def _space(name: str, path: Path, wanted_bytes: int) -> Finding:
    # To be asked of what exists; the check before has opened the file.
    free = shutil.disk_usage(path if path.exists() else os.curdir).free
    if free >= wanted_bytes:
        return ok(name, f"{free >> 20:,} MiB are free")
    return warning(
        name,
        f"{free >> 20:,} MiB are free",
        breaks=f"a save of the largest states takes up to {wanted_bytes >> 20:,} MiB; a full disk "
        "stops all jobs, and they go on when there is space",
        mend="free some space, or lower OUTLAST_MAX_STATE_BYTES",
    )
