"""π(x) by Xavier Gourdon's algorithm, in shards that any worker can compute.

    π(x) = A - B + C + D + Φ0 + Σ

with z = y and k = 8. A reader with the formula beside them finds

    sigma    Σ          phi0     Φ0         ac       A + C      b        -B         d       D
    phase    what they have in common: shards, and how the results of neighbours are fused
    bounds   x, y, x*   state    what is stored between two shards
    parts    how a computation is divided       work     where its time goes
    tables   what the shards look things up in: primes, composites, counted
    kept     the tables, for the next slice or part
    crossing, unsieved  sieving, and counting in between; division  exact quotients
    riemann  R(x) and the estimate of the n-th prime, with zeros
    engine   drives it all

The derivation and the bounds are in docs/nth-prime.md. Importing this package imports neither
numba nor numpy; nor do `bounds`, `state`, `parts`, `work` and `riemann`.
"""
