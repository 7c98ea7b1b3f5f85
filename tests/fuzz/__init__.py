"""Any input from outside: no traceback, no hang, no wrong result.

`make test` tries some of it, `make chaos` much more (`--hypothesis-profile=long`).
"""
