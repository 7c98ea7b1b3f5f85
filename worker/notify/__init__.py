"""Tells others that a job is over: queues, webhooks and, for `outlast run`, files and commands."""
