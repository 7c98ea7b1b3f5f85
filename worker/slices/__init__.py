"""The main path: a message arrives, one slice of its job runs, its continuation is sent.

deliver.py        the whole of it: the message, its turn, and what may get in the way
turn.py           what a delivery is handled with, and how its slice is run
job_turn.py       a message for a job
fleet/            a message for a part of a job that many workers share
protocol.py       the rules: what a message calls for, what an ending makes of the job
leased_job.py     the lease and every write under it
claimed_job.py    what is written: saves, and the end of the slice
work.py, unsaved.py   what was done and is not stored yet
arrays.py         the arrays of states, sent while the kernel goes on
loading.py        the kernel, loaded and prepared
reading.py, last_params.py   what it begins with, read with its arrays
slice.py          the steps of the kernel, until the deadline
failure.py        how a slice ends whose kernel has raised an error
kernel_output.py  what a kernel yields, returns and raises, as it is stored
held.py           a state that stays in the process of its kernel
isolation/        the kernel in a child process
owed_notices.py   the end of a job, told to its targets
tidying.py        what killed workers have left of its arrays

worker_process.py what all this needs from the process; made once by each entry point
heartbeat.py      what keeps the lease alive while a thread is busy
memory.py         how much is free
health.py         whether an error is a fault of the machine
deadline.py, timing.py, backoff.py, platforms.py    time, and where it is spent
"""
