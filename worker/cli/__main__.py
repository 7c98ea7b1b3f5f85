"""Lets `python -m worker.cli` be the `outlast` command."""

import sys

from worker.cli import main

sys.exit(main())
