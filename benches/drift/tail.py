"""How often the index of ten cells passes a level of its law when nothing drifted, as a multiple of that level.

    v/bin/pip install numpy==2.4.6 scipy==1.17.1
    v/bin/python benches/drift/tail.py

The levels are those that the smallest chance of 1, 20 and 100 columns is held to (0.005 over their number) and one in a thousand. A
reference of `n` rows fills ten cells alike, the true shares of which are then Dirichlet; `m` new rows are drawn of these.
"""

import numpy as np
from scipy.stats import chi2

DRAWS, STEP, CELLS = 2_000_000, 200_000, 10
LEVELS = (5e-3, 1e-3, 2.5e-4, 5e-5)


def passes(rng, n, m):
    limits = chi2.isf(LEVELS, CELLS - 1) * (1 / n + 1 / m)
    counts = np.full(CELLS, n / CELLS)
    before = (counts + 0.5) / (n + 0.5 * CELLS)
    over = np.zeros(len(LEVELS))
    for _ in range(DRAWS // STEP):
        now = (rng.multinomial(m, rng.dirichlet(counts, size=STEP)) + 0.5) / (m + 0.5 * CELLS)
        psi = ((now - before) * np.log(now / before)).sum(1)
        over += [(psi > limit).sum() for limit in limits]
    return over / DRAWS / LEVELS


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    print("| reference, new rows | " + " | ".join(f"{level:g}" for level in LEVELS) + " |\n| ---: |" + " ---: |" * len(LEVELS))
    for n, m in ((200, 200), (500, 500), (1000, 1000), (5000, 200), (5000, 1000), (1_000_000, 200)):
        print(f"| {n:,}, {m:,} | " + " | ".join(f"{times:.2f}" for times in passes(rng, n, m)) + " |", flush=True)
