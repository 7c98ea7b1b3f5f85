"""A store, a queue and thousands of workers on simulated time; what the workers run is real."""
