"""Runs jobs in slices, on any of the runtimes."""

if __name__ != "outlast.worker":  # Else each of its classes would exist twice.
    raise ImportError("import outlast.worker")
