"""Tests of `checkpoint`."""
