"""One slice of the kernel train-text, in a process of its own: steps, then the state as bytes.

    python -m tests.training_slice FOLDER STEPS PARAMS

It goes on from the state in FOLDER, or starts, and leaves the state there after so many steps. When
the training is over it prints the digest of the weights and the losses.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Any

from train_text import TrainText

from outlast import Resources
from outlast.kernel.bulk import dumped, loaded


def main(folder: Path, steps: int, params: str) -> None:
    """Run the slice."""
    kernel = TrainText()
    run = kernel.run(kernel.Params.model_validate_json(params), _stored(folder), Resources())
    results: list[Any] = []

    def states() -> Any:
        results.append((yield from run))

    for state in islice(states(), steps):
        text, bulk = dumped(state)
        (folder / "state.json").write_bytes(text)
        (folder / "state.bin").write_bytes(bulk.read(0, bulk.size))
    for result in results:
        sys.stdout.write(" ".join([result.digest, *map(str, result.losses.tolist())]))


def _stored(folder: Path) -> Any:
    if not (folder / "state.json").exists():
        return None
    row = memoryview(bytearray((folder / "state.bin").read_bytes()))
    return loaded(TrainText.State, (folder / "state.json").read_bytes(), row)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
