"""Lets `python -m outlast.worker.cli` be the `outlast` command."""

from outlast.worker.cli import program

program()
