"""A trivial job on each system, one file a system; `bench.peers` runs them side by side.

A file offers three names, all that `trial` needs of a system:

    WORKER    the command that starts its one worker process
    submit    puts jobs on its queue and returns their ids
    result    returns what a job has returned, or None while nothing is stored
"""
