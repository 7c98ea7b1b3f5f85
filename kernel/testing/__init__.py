"""For authors of kernels: does a computation survive being stopped anywhere?

    from outlast.testing import assert_resumable

    def test_my_kernel_can_be_stopped_anywhere():
        assert assert_resumable(MyKernel(), MyKernel.Params(size=10)).answer == 42

No worker is needed for that. Whatever happens to a worker, its kernel has to do one thing only:
resume from a state that it has yielded.

    what happens to the worker            the kernel resumes from
    a deadline, a stop signal             its newest state
    killed before the newest was saved    an older state, in another process
    killed between save, send and ack     the newest state, in another process
    a lease or a save is lost             an older state, in a process that has run beyond it
    a message is delivered twice          a state from which it has resumed before

The first and the last two are tried in the process at hand. The others are tried with copies of the
kernel there, from many states, and from one state in a process that has not run it, and in an
interpreter that hashes strings otherwise.

A kernel that can be divided is asked more: does it come to the same in parts, however they are cut,
computed and combined?

    from outlast.testing import assert_divisible

    def test_my_kernel_can_be_shared():
        assert assert_divisible(MyKernel(), MyKernel.Params(size=10)).answer == 42

resumable.py        the whole of `assert_resumable`
trial.py            runs of the kernel, each step checked
stored.py           states as they are stored, and compared
sample.py           which safe points are tried
another_process.py  the kernel in another process
divisible.py        the whole of `assert_divisible`
shared_job.py       a job in parts, each step checked
division.py         which cuts and which groupings are tried
"""

from outlast.kernel.testing.divisible import assert_divisible
from outlast.kernel.testing.resumable import assert_resumable

__all__ = ["assert_divisible", "assert_resumable"]
