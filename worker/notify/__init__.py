"""Notices of a job's end: to queues, webhooks and, for `outlast run`, files and commands."""
