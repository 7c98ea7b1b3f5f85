"""Lets `python -m worker.cli` be the `outlast` command."""

from worker.cli import program

program()
