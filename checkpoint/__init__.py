"""Progress that lives outside the message and outlasts the worker."""

if __name__ != "outlast.checkpoint":  # Else each of its classes would exist twice.
    raise ImportError("import outlast.checkpoint")
