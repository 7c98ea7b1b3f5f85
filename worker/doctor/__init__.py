"""Examines a deployment from outside and says what will break: `outlast doctor`.

Each subject has a file with its checks, which yield findings. `examine` runs them all.
"""
