"""The disk of a SQLite file, and of a folder of arrays."""

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
TRANSIENT = {"tmpfs": "is gone at the next start", "overlay": "is gone with the container"}
# A record has two states, and the write-ahead log has them once more.
STATES_FREE = 4
MOVE = "choose a path on a local disk for OUTLAST_STORE and OUTLAST_QUEUE"


def disk_findings(
    subject: str, path: Path, *, max_state_bytes: int, mounts: Path = MOUNTS
) -> Iterator[Finding]:
    """Check that the file system of `path` keeps what is written, and has space for it.

    `mounts` is Linux's table of file systems; without it only the space is checked.
    """
    kind = kind_of(path, mounts)
    name = f"{subject}.disk"
    if kind in NETWORK:
        yield error(
            name,
            f"{path} is on a network file system ({kind})",
            breaks="SQLite's locks do not hold there: two workers can damage the file",
            mend=f"{MOVE}; for several machines use redis://, s3:// and sqs://",
        )
    elif kind in TRANSIENT:
        breaks = f"the file {TRANSIENT[kind]}, with all jobs"
        yield warning(name, f"{path} is on {kind}", breaks=breaks, mend=MOVE)
    else:
        yield ok(name, f"{path} is on a local disk{kind and f' ({kind})'}")
    saved, mend = "a save of the largest states takes", "lower OUTLAST_MAX_STATE_BYTES"
    yield space(f"{subject}.space", path, STATES_FREE * max_state_bytes, saved=saved, mend=mend)


def kind_of(path: Path, mounts: Path) -> str:
    """Return the kind of the file system of `path`; "": this system does not tell."""
    return file_system(path.resolve(), mounts.read_text()) if mounts.exists() else ""


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of the file system of `path`, by the last of its innermost mounts."""
    depth, kind = -1, ""
    for row in mounts.splitlines():
        mount, _, rest = row.partition(" - ")
        # Linux writes a space in a path as \040.
        point = Path(mount.split()[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= depth:
            depth, kind = len(point.parts), rest.split()[0]
    return kind


def space(name: str, path: Path, needed_bytes: int, *, saved: str, mend: str) -> Finding:
    """Check that so much of the disk of `path` is free; `saved` says for what."""
    # The file exists, as an earlier check opens it, except on a path that no file can have.
    free = shutil.disk_usage(path if path.exists() else os.curdir).free
    if free >= needed_bytes:
        return ok(name, f"{free >> 20:,} MiB are free")
    return warning(
        name,
        f"{free >> 20:,} MiB are free",
        breaks=f"{saved} up to {needed_bytes >> 20:,} MiB; a full disk stops all jobs until there "
        "is space",
        mend=f"free some space, or {mend}",
    )
