"""For authors of kernels: does a computation survive being stopped anywhere?

    from outlast.kernel.testing import assert_resumable

    def test_my_kernel_can_be_stopped_anywhere():
        assert assert_resumable(MyKernel(), MyKernel.Params(size=10)).answer == 42

Nothing of the worker is needed for that. Whatever happens to a worker comes to one thing for a
kernel: it is asked to go on from a state that it has yielded.

    what happens                          what the kernel is asked
    a deadline, a stop signal             to go on from its newest state
    killed before the newest was saved    to go on from an older one, in another process
    killed between save, send and ack     to go on from the newest, in another process
    a lease or a save that was lost       to go on from an older one, in a process that has gone on
    a message delivered twice             to go on from a state from which it has gone on before

The first and the last two are tried in the process at hand. The others are tried by copies of the
kernel there, from many states, and from one state in a process that has not run it.
"""

from outlast.kernel.testing.resumable import assert_resumable

__all__ = ["assert_resumable"]
