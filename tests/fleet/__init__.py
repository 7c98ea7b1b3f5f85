"""The real code of a job that many workers share, one effect at a time, in every order and fault.

Each worker, person and sweep is a thread that stops before each of its effects on store and queue;
then it is decided who goes on, or what goes wrong: at random by a seed, or in every possible way.

    python -m tests.fleet SEED          shows one world
    python -m tests.fleet FIRST LAST    looks for worlds that break a promise
    python -m tests.fleet every         goes through all orders of the small jobs; takes minutes
"""
