"""What Evidently needs for the same comparison: its default drift report, or one with a method for all columns.

    v/bin/pip install evidently==0.7.23 'pandas<3' pyarrow
    v/bin/python benches/drift/baseline.py FOLDER [--method psi]

Prints the share of columns it finds drifted. `measure.py` runs it and counts.
"""

import argparse
import warnings

warnings.filterwarnings("ignore")

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder")
parser.add_argument("--method")
args = parser.parse_args()
reference, current = (pd.read_parquet(f"{args.folder}/{name}.parquet") for name in ("reference", "current"))
preset = DataDriftPreset(method=args.method) if args.method else DataDriftPreset()
found = Report([preset]).run(current, reference).dict()
drifted = next(m["value"] for m in found["metrics"] if m["metric_name"].startswith("DriftedColumnsCount"))
print(drifted)
