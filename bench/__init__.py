"""Measurements beside what others use; `python -m bench NAME` runs one, `make bench` all."""
