"""Notices of a job's end, to SQS queues and webhooks of the user's.

    target.py    which targets there are, and which are allowed
    notice.py    what a target is told
    notifier.py  tells one target, within a time
    sqs.py, webhook.py, signing.py    how
    errors.py    how it may fail

When a notice is due, `slices/owed_notices.py` decides.
"""
