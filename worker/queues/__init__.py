"""Queues that carry the ids of jobs; one contract, several services."""
