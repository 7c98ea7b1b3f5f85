"""The one way this package compiles with numba: its options, and where the machine code is kept."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import llvmlite.binding
import numba
import numpy as np
from numba.core.caching import FunctionCache

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

int64 = cast("type[int]", np.int64)
uint64 = cast("type[int]", np.uint64)
"""For compiled code. Type checkers take what they make for an int, as they do a literal."""

# numba sets the attributes of its configuration from the environment, unseen by type checkers.
_config: Any = numba.config


# Not among the options that numba declares to type checkers.
_NO_C_ENTRY: Any = {"no_cfunc_wrapper": True, "_nrt": False}


def jit(function: F) -> F:
    """Compile `function` at its first call, without the GIL, and keep the machine code on disk.

    It then wraps integers silently, does not check bounds, and gives inf or nan where Python
    would raise ZeroDivisionError. Calls to other compiled functions are part of the machine
    code, and so are module globals: pass tables as arguments.
    """
    # error_model="numpy": the check for division by zero would keep LLVM from vectorising.
    compiled = numba.njit(nogil=True, error_model="numpy", **_NO_C_ENTRY)(function)
    if _CACHED:
        make_cache: Any = _Cache  # for which numba has no types
        compiled._cache = make_cache(function)  # noqa: SLF001 - as `cache=True` does
    return cast("F", compiled)


_warnings: list[str] = []


class _Cache(FunctionCache):
    """numba's own, to which a file that is damaged or cannot be written is a miss and no error."""

    def load_overload(self, *args: Any) -> Any:
        """Return the machine code that is kept; None: compile it."""
        cache: Any = super()
        try:
            return cache.load_overload(*args)
        except Exception as error:  # noqa: BLE001 - pickle and LLVM raise whatever damage makes them
            _warn_of_cache(f"damaged machine code is compiled again: {error!r}")
            # The index, too, may be what is damaged, and is read again when code is kept.
            with suppress(OSError):
                cache.flush()
            return None

    def save_overload(self, *args: Any) -> None:
        """Keep machine code, if the disk takes it."""
        cache: Any = super()
        try:
            cache.save_overload(*args)
        except Exception as error:  # noqa: BLE001 - see above
            _warn_of_cache(f"machine code is not kept, and compiled in every process: {error!r}")


def _warn_of_cache(what: str) -> None:
    """Warn once in a process: what is true of one function is true of a hundred."""
    if not _warnings:
        _warnings.append(what)
        warnings.warn(f"{what}; the folder is {_config.CACHE_DIR or 'numba chose'}", stacklevel=2)


def inner(function: F) -> F:
    """Compile `function`, which only compiled functions call, as part of each of them.

    As `jit`, but without the entry for Python, which can take longer to compile than the function,
    and without a copy on disk beside its callers'.
    """
    options = {**_NO_C_ENTRY, "no_cpython_wrapper": True}
    compiled = numba.njit(nogil=True, error_model="numpy", **options)(function)
    return cast("F", compiled)


def _takes_files(folder: Path) -> bool:
    """Return whether a file can be created in `folder`, which is created where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _numba_finds_a_folder() -> bool:
    """Return whether numba's own choice works: beside the source, else the user's cache folder."""
    try:
        numba.njit(cache=True)(_takes_files)
    except RuntimeError:  # "cannot cache function: no locator available"
        return False
    return True


def _private_folder() -> Path | None:
    """Return a folder of this user's alone under the temporary one; None if that is impossible.

    Machine code is loaded from it, so a folder that others own or may write is not taken.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"outlast-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    ours = status.st_uid == os.getuid() and not status.st_mode & 0o022 and not folder.is_symlink()
    return folder if ours and _takes_files(folder) else None


def _choose_cache() -> bool:
    """Point numba to a folder that can be written; return False if there is none.

    numba refuses a folder it cannot write even when all the code it needs is in it, as in a
    container image whose file system is read-only; so what is there is copied.
    """
    configured = _config.CACHE_DIR
    if _takes_files(Path(configured)) if configured else _numba_finds_a_folder():
        return True
    name = f"NUMBA_CACHE_DIR={configured}" if configured else "the default cache folder of numba"
    folder = _private_folder()
    if folder is None:
        warnings.warn(f"{name} is not writable: compiling again in every process", stacklevel=2)
        # Else numba would go on to its other choices, and find them unusable as well.
        _config.CACHE_DIR = ""
        return _numba_finds_a_folder()
    warnings.warn(f"{name} is not writable: using {folder} instead", stacklevel=2)
    if configured and Path(configured).is_dir():
        _copy(Path(configured), folder)
    _config.CACHE_DIR = str(folder)
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy what can be read of `source` into `target`; what cannot is compiled again."""
    try:
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=_copy_new)
    except (OSError, shutil.Error) as error:
        warnings.warn(f"could not copy {source} whole: {error}", stacklevel=2)


def _copy_new(source: str, target: str) -> None:
    """Copy one file unless it is there, whole or not at all: other processes may be reading."""
    if not Path(target).exists():
        part = f"{target}.{os.getpid()}"
        shutil.copy2(source, part)
        Path(part).replace(target)


def _use_whole_vectors() -> None:
    """Let LLVM use vectors of 512 bits where the processor has them; by default it takes half.

    Counting and sieving are a fifth faster. The environment, where it names a processor for numba
    to compile for, has the last word.
    """
    if _config.CPU_NAME or _config.CPU_FEATURES:
        return
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        _config.CPU_NAME = llvmlite.binding.get_host_cpu_name()
        _config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


_use_whole_vectors()
_CACHED = _choose_cache()
