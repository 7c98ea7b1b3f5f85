"""Looks at a deployment from outside and says what will break: `outlast doctor`.

One file a subject: each offers checks, which yield findings. `examine` runs them all.
"""
