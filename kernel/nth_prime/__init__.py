"""The n-th prime."""
