"""Jobs as people and programs deal with them: submit, follow, steer, wake, remove.

client.py, async_client.py    all that a program can do
stored_jobs.py                the jobs of a store, to look at
new_job.py, submission.py     a record from a kernel's name and parameters; store and wake it
waiting.py, outcome.py        wait for the ends of jobs; the result, or why there is none
arrays.py, result_files.py    the arrays of parameters and results; a result as files
selection.py, rate.py         which jobs are meant; how fast one gets on
sweep.py                      wake what lost its message
prune.py                      remove what is over
diagnosis.py                  what became of a dead letter's job
"""
