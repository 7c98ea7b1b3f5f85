"""The tests; `servers.py` starts the real servers that some of them talk to."""
