"""Runs jobs in slices, on any of the runtimes."""
