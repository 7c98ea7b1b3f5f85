"""π(x) by Xavier Gourdon's algorithm, in shards that any worker can compute.

    π(x) = A - B + C + D + Φ0 + Σ

with z = y and k = 8. A reader with the formula beside them finds

    ac       A + C      b        B          d        D          phi0     Φ0         sigma    Σ
    term     what they have in common: shards, and how the results of neighbours are fused
    parts    the pieces of all of them, and the sum of the formula
    work     where their time goes          state    what is stored between two shards
    bounds   x, y, x* and sizes             engine   drives it all
    rows     the primes up to x^(1/3)       kept     tables, for the next slice or part
    window   the m of A + C                 leaves   the m of D and Φ0
    interval, counted     the primes of an interval, and a table that counts them
    crossing, unsieved    sieving, and counting in between
    wide     quotients of numbers beyond 2^63
    riemann  R(x) and the estimate of the n-th prime, with `zeros` and `more_zeros`

The derivation and the bounds are in docs/nth-prime.md. Importing this package imports neither
numba nor numpy; nor do `bounds`, `state`, `parts`, `work`, `kept` and `riemann`.
"""
