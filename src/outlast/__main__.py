"""Lets `python -m outlast` be the `outlast` command."""

from outlast.worker.cli import program

program()
