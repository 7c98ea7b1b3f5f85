"""The `outlast` command as its next version may be: its records have the next number.

It reads those of today, as every version reads what was released before. Its kernels' states are
those of today, too.
"""

from __future__ import annotations

from outlast.checkpoint import codec

OLDER = codec.MAGIC
NEWER = OLDER[:-1] + bytes([OLDER[-1] + 1])

if __name__ == "__main__":
    from outlast.worker.cli import program

    codec.MAGIC, codec.MAGICS = NEWER, codec.MAGICS | {NEWER}
    program()
