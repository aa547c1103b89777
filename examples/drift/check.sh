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

# questions SEED RECALL: made questions, RECALL of a hundred of them about a charger that is recalled.
questions() {
    awk -v s="$1" -v recall="$2" 'function draw(n) { s = s * 16807 % 2147483647; return s % n + 1 }
    BEGIN {
        usual = split("Where is my parcel|When will my order arrive|Can I change the delivery address|How do I return the shoes|When is my money refunded|How do I reset my password|I cannot log in to my account|Where do I see my invoices", old, "|")
        fresh = split("Is the recalled charger dangerous|My battery got hot and smells of smoke|Which serial numbers are in the recall", new, "|")
        ends = split("bought in Berlin|since Monday|from last week|in the app|ordered in spring|before Friday|on my phone", end, "|")
        print "question"
        for (i = 0; i < 1000; i++) print (draw(100) <= recall ? new[draw(fresh)] : old[draw(usual)]) " " end[draw(ends)] "? " 10000 + draw(90000)
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
questions 1 0 > asked.csv
"$KF" drift baseline bot@1.0.0 --name questions --data asked.csv

rows 2 1500 1 0.2 > requests.csv
questions 2 0 > questions.csv
said=$("$here/hourly.sh" .)
[ -z "$said" ] || { echo "hourly.sh is not silent in a quiet hour: $said" >&2; exit 1; }

rows 3 1500 1.5 0.6 > requests.csv
questions 3 30 > questions.csv
ends 3 "$here/hourly.sh" .
# The line of the workflow, as it stands there.
checks=$(sed -n 's/^ *run: kf \(drift check .*\)/\1/p' "$here/drift.yml")
# shellcheck disable=SC2086 # words of a command
ends 3 "$KF" $checks
ends 0 "$KF" drift report questions --report html=questions.html
open=$("$KF" drift due --format jsonl | wc -l)
[ "$open" -eq 2 ] || { echo "$open actions are open instead of a ticket and a freeze" >&2; exit 1; }
ends 3 "$KF" promote bot --to staging
"$KF" drift explain questions question | grep 'new .*charger' || { echo "the texts that came are not told" >&2; exit 1; }

"$KF" drift due --format jsonl | sed 's/.*"uid":"\([^"]*\)".*/\1/' | while read -r action; do
    "$KF" drift close "$action" --reason "the model was made anew"
done
"$KF" promote bot --to staging
