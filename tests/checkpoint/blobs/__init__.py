"""Tests of the places where the bytes of arrays are kept."""
