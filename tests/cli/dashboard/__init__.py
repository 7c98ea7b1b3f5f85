"""Tests of the dashboard: its answers, and itself in a real browser."""
