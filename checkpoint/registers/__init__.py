"""Backends of the register: one file each, one contract."""
