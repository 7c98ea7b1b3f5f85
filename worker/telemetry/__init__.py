"""What a worker tells of its work: events, and the log lines, metrics and traces made of them."""
