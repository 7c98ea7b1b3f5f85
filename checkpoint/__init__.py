"""Progress that lives outside the message and outlasts the worker."""
