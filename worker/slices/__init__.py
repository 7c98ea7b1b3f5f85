"""The main path: a message arrives, one slice of its job runs, its continuation is sent."""
