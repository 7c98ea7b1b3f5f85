"""What users see: the `outlast` command."""
