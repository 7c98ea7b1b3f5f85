"""The real worker code on a simulated clock, store and queue, with every fault there is.

One seed decides everything: `python -m tests.simulation SEED` runs it again.
"""
