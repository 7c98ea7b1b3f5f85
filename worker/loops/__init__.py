"""What calls for slices: a plain worker, a function, one job in one process."""
