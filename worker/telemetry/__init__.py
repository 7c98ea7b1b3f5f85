"""The events of a worker, and the log lines, metrics and traces that are made of them."""
