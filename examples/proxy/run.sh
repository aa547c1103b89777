#!/bin/sh
# Scores labelled answers with the offline proxies and prints how well they tell supported from other answers. Works on a copy.
set -eu
KF=${KF:-kf}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -R "$here/." "$scratch"
cd "$scratch"

"$KF" init --quiet
"$KF" register answers
"$KF" eval answers --metric faithfulness-offline-proxy --metric relevancy-offline-proxy --no-gates
for pairs in pairs.jsonl fresh.jsonl; do
    printf '\n-- %s --\n' "$pairs"
    "$KF" eval answers --dataset "$pairs" --metric faithfulness-offline-proxy --no-gates --rows --format json > report.json
    python3 auroc.py "$pairs" report.json
done
