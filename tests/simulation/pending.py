"""Faults and rules for which the workers are not ready yet: each is switched on here.

FAIR_SLICES: one slow step among fast ones does not make later slices short.
SLOW_SAVES: where a save takes longer than a lease, a worker that lives keeps its job.
CLOCKS_A_YEAR_OFF: a dead worker's job goes on soon, whatever its clock says.
SLOW_SWEEPS: a sweep that takes longer than its interval leaves time for messages.
"""

from __future__ import annotations

FAIR_SLICES = False
SLOW_SAVES = False
CLOCKS_A_YEAR_OFF = False
SLOW_SWEEPS = False
