#!/bin/sh
# Says what a branch does to its models and prompts; what the workflow of pull requests runs. Works the same on a laptop.
#
#   review.sh origin/main
#
# Leaves eval.json, prompts.json where there is a suite, and comment.md. Ends as the stronger of both did: 3 when something got worse or a
# gate says no, 4 when too little is known, 1 and 2 when something is broken.
set -eu
KF=${KF:-kf}
base=${1:?usage: review.sh origin/BRANCH}

evaluated=0 tested=0
rm -f eval.json prompts.json comment.md
"$KF" eval --changed="$base" --format json > eval.json || evaluated=$?
if [ -f prompts.test.yaml ]; then
    "$KF" prompt test --format json > prompts.json || tested=$?
fi
# What failed before it knew anything has said why, and left an empty report.
find eval.json prompts.json -empty -delete 2> /dev/null || true
set --
for report in eval.json prompts.json; do
    [ ! -f "$report" ] || set -- "$@" "$report"
done
[ $# -eq 0 ] || "$KF" ci comment "$@" -o comment.md
# Of several the strongest: 1, 2, 3, 5, 4, and whatever else there may be.
for code in 1 2 3 5 4 "$evaluated" "$tested"; do
    [ "$evaluated" -ne "$code" ] && [ "$tested" -ne "$code" ] || [ "$code" -eq 0 ] || exit "$code"
done
