"""Tests of the queues; `conftest.py` opens each backend for the one suite they share."""
