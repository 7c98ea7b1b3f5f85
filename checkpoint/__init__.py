"""Progress that lives outside the message and outlasts the worker.

head.py, record.py, record_parts.py, history.py    a job and its pure moves
codec.py, packed.py         the record as bytes
job_store.py, job_heads.py  one compare-and-set a change; listing without the states
register.py, registers/     the compare-and-set itself: SQLite, Redis, S3
blobs/                      the bytes of arrays, in a folder or in S3
fleet.py, nodes.py, survey.py    the parts of a job that many workers share
deletions.py, open_jobs.py  the marks of deleted jobs, and of open ones
sweep_turn.py               whose turn it is to sweep
view.py                     a job as people and programs see it
names.py, fields.py, safe_text.py, status.py, errors.py    what all of these are made of
"""

if __name__ != "outlast.checkpoint":  # Else each of its classes would exist twice.
    raise ImportError("import outlast.checkpoint")
