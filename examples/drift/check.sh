#!/bin/sh
# Shows a quiet hour, one with drift, the ticket that it opens once, and how it is closed.
set -eu
KF=${KF:-kf}
export KF
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# rows SEED N SLOWER GERMAN: made requests; answers take SLOWER times as long, and a share GERMAN of them is in German.
rows() {
    awk -v seed="$1" -v n="$2" -v slower="$3" -v german="$4" 'BEGIN {
        srand(seed); print "id,latency_ms,tokens,language"
        for (i = 1; i <= n; i++) {
            z = 0; for (k = 0; k < 12; k++) z += rand()
            printf "%d,%.1f,%d,%s\n", i, 400 * slower * exp(0.4 * (z - 6)), 40 + int(160 * rand()), rand() < german ? "de" : "en"
        }
    }'
}

ends() {
    want=$1; shift
    code=0; "$@" || code=$?
    [ "$code" -eq "$want" ] || { echo "$* ended with $code instead of $want" >&2; exit 1; }
}

cp "$here/mlops.toml" "$scratch"
cd "$scratch"
echo 'Answer from the handbook.' > prompt.txt
"$KF" init --quiet
"$KF" register bot prompt.txt
rows 1 2000 1 0.2 > accepted.csv
"$KF" drift baseline bot@1.0.0 --name requests --data accepted.csv

rows 2 1500 1 0.2 > requests.csv
said=$("$here/hourly.sh" .)
[ -z "$said" ] || { echo "hourly.sh is not silent in a quiet hour: $said" >&2; exit 1; }

rows 3 1500 1.5 0.6 > requests.csv
ends 3 "$here/hourly.sh" .
ends 3 "$KF" drift check --report markdown=drift.md
open=$("$KF" drift due --format jsonl | wc -l)
[ "$open" -eq 2 ] || { echo "$open actions are open instead of a ticket and a freeze" >&2; exit 1; }
ends 3 "$KF" promote bot --to staging

"$KF" drift due --format jsonl | sed 's/.*"uid":"\([^"]*\)".*/\1/' | while read -r action; do
    "$KF" drift close "$action" --reason "the model was made anew"
done
"$KF" promote bot --to staging
