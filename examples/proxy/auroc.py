"""Areas under the curve of one metric of `kf eval --rows --format json`, by labels: auroc.py PAIRS REPORT. Ends with 1 below the bars."""

import json
import math
import random
import sys

METRIC = "faithfulness (offline proxy)"


def area(good, bad):
    """The chance that a good row has more than a bad one, ties half, with the interval of Hanley and McNeil (1982)."""
    n, m = len(good), len(bad)
    a = sum((g > b) + (g == b) / 2 for g in good for b in bad) / (n * m)
    q1, q2 = a / (2 - a) - a * a, 2 * a * a / (1 + a) - a * a
    half = 1.96 * math.sqrt(max(0, a * (1 - a) + (n - 1) * q1 + (m - 1) * q2) / (n * m))
    return a, max(0, a - half), min(1, a + half), n, m


def main(pairs, report):
    scores = {row["id"]: row["scores"][METRIC] for row in json.load(open(report, encoding="utf-8"))["rows"]}
    rows = [json.loads(line) for line in open(pairs, encoding="utf-8")]
    print(f"without a score: {sum(scores[r['id']] is None for r in rows)} of {len(rows)}")
    rows = [dict(r, score=scores[r["id"]]) for r in rows if scores[r["id"]] is not None]
    good = [r for r in rows if r["label"] == "supported"]

    def line(of, good, bad):
        a, low, high, n, m = area([r["score"] for r in good], [r["score"] for r in bad])
        print(f"{of:<24} {a:.3f}  {low:.3f} … {high:.3f}  {n:>3} supported, {m:>3} others")
        return a

    bad = [r for r in rows if r["label"] != "supported"]
    overall = line("overall", good, bad)
    against = line("against contradictions", good, [r for r in rows if r["label"] == "contradicted"])
    for language in sorted({r["language"] for r in rows}):
        line(f"language {language}", *([r for r in side if r["language"] == language] for side in (good, bad)))
    for kind in sorted({r["kind"] for r in bad}):
        line(f"kind {kind}", good, [r for r in bad if r["kind"] == kind])
    mixed = random.Random(1).sample(rows, len(rows))
    line("shuffled labels", mixed[: len(good)], mixed[len(good) :])
    return 0 if overall >= 0.70 and against >= 0.65 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
