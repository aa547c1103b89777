"""Makes the tables that `measure.py` compares: 20 columns of numbers and 5 of words, Parquet with Snappy.

    v/bin/pip install numpy==2.4.6 pyarrow==26.0.1
    v/bin/python benches/drift/make.py FOLDER [--rows 1000000] [--seed 7]

`reference.parquet` and `current.parquet` are drawn alike, but for four columns of the second: a mean that moves by 0.4 standard
deviations, a scale that doubles, a level that takes over, a tenth of nulls. `vectors-reference.parquet` and `vectors-current.parquet` hold
20,000 vectors of 384 numbers each, of twelve topics, and of one more in a tenth of the second.
"""

import argparse
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS, WORDS, LEVELS = 20, 5, (2, 5, 20, 100, 1000)
VECTORS, WIDTH, TOPICS = 20_000, 384, 12


def table(rows, rng, drifted):
    columns = {}
    for i in range(NUMBERS):
        kind = i % 4
        if kind == 0:
            values = rng.normal(10.0 * i, 1.0 + i, rows)
        elif kind == 1:
            values = rng.lognormal(1.0, 0.5 + i / 40, rows)
        elif kind == 2:
            values = np.round(rng.gamma(2.0, 3.0, rows), 2)
        else:
            values = rng.integers(0, 10 * (i + 1), rows).astype(float)
        if drifted and i == 0:
            values = values + 0.4 * (1.0 + i)
        if drifted and i == 4:
            values = (values - 10.0 * i) * 2.0 + 10.0 * i
        mask = rng.random(rows) < 0.1 if drifted and i == 2 else None
        columns[f"n{i:02}"] = pa.array(values, mask=mask)
    for i, levels in enumerate(LEVELS[:WORDS]):
        weights = 1.0 / np.arange(1, levels + 1)
        picked = rng.choice(levels, rows, p=weights / weights.sum())
        if drifted and i == 1:
            picked = np.where(rng.random(rows) < 0.2, 0, picked)
        names = pa.array([f"level {k}" for k in range(levels)])
        columns[f"c{i}"] = names.take(pa.array(picked))
    return pa.table(columns)


def vectors(rng, centres, drifted):
    topic = rng.integers(0, TOPICS, VECTORS)
    if drifted:
        topic = np.where(rng.random(VECTORS) < 0.1, TOPICS, topic)
    values = (centres[topic] + rng.normal(0.0, 0.5, (VECTORS, WIDTH))).astype(np.float32)
    return pa.table({"vector": pa.FixedSizeListArray.from_arrays(values.ravel(), WIDTH)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    for name, drifted in (("reference", False), ("current", True)):
        pq.write_table(table(args.rows, rng, drifted), args.folder / f"{name}.parquet", compression="snappy")
    centres = rng.normal(0.0, 1.0, (TOPICS + 1, WIDTH))
    for name, drifted in (("vectors-reference", False), ("vectors-current", True)):
        pq.write_table(vectors(rng, centres, drifted), args.folder / f"{name}.parquet", compression="snappy")


if __name__ == "__main__":
    main()
