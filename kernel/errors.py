"""The errors of kernels, and what an error says that foreign code raises."""

from __future__ import annotations

from traceback import TracebackException


class UnknownKernel(Exception):
    """No installed package registers a kernel of that name, or a job of it needs one that is not.

    Install it, or correct the name; a worker leaves such a job to others.
    """


class UnloadableKernel(UnknownKernel):
    """The kernel is registered, and its code cannot be loaded: a library or a file is missing.

    Mend the installation, or correct the kernel; a worker takes it for a fault of its machine.
    """


class DoesNotFit(UnknownKernel):
    """The job takes more memory than this worker grants; a worker leaves it to others.

    A kernel's run raises it before it has done any work to speak of: nothing is counted.
    """


class NonRetryable(Exception):
    """Another attempt from the same state would fail again. A kernel raises it, or a subclass.

    The job fails at once, with the error as its reason.
    """


class MachineFault(Exception):
    """This machine cannot run the kernel, whatever the job: its GPU is gone, a disk is full.

    A kernel raises it, or a subclass, before its first safe point. The job is left to other
    workers and nothing is counted; a worker to which it happens again and again ends.
    """


class InvalidParams(Exception):
    """The parameters do not fit the kernel's model. Correct them; nothing was stored."""


def message_of(error: BaseException) -> str:
    """Return the message of an error, even if its class fails to give one."""
    try:
        # Python's own formatting survives an error whose __str__ raises.
        return str(TracebackException.from_exception(error, limit=0))
    except BaseException:  # noqa: BLE001 - but not one whose attributes raise
        return "<exception cannot be shown>"
