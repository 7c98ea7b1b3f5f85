"""Real processes: signals, kills and what is left afterwards."""
