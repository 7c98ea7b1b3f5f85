"""What calls for slices: a plain worker, one job in one process, a call without a message."""
