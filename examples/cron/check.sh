#!/bin/sh
# Shows that hourly.sh is silent while a metric is usual and loud when it is not, that backup.sh is silent while backups come back and loud with
# exit code 3 when one does not, that monthly.sh says when more questions are needed, and that nightly.sh is silent on a healthy repository, and loud with exit code 3 on a damaged one.
set -eu
KF=${KF:-kf}
export KF
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$KF" demo --dir "$scratch/bot" > /dev/null
now=$(date +%s)
for hour in $(seq 48 -1 1); do
    echo "{\"name\": \"queue\", \"value\": $((20 + hour % 5)), \"at\": $((now - hour * 3600))}"
done | "$KF" -C "$scratch/bot" --quiet monitor record --data -
said=$("$here/hourly.sh" "$scratch/bot" queue=22 2>&1)
[ -z "$said" ] || { echo "hourly.sh is not silent while all is usual: $said" >&2; exit 1; }
code=0
said=$("$here/hourly.sh" "$scratch/bot" queue=400 2>&1) || code=$?
[ "$code" -eq 3 ] || { echo "hourly.sh ended with $code on a queue of 400: $said" >&2; exit 1; }
echo "hourly.sh is silent while all is usual and says, when it is not:"
echo "$said"

for what in '' drill; do
    said=$("$here/backup.sh" "$scratch/bot" $what 2>&1)
    [ -z "$said" ] || { echo "backup.sh $what is not silent while backups come back: $said" >&2; exit 1; }
done
stored=$(find "$scratch/bot/backups/sha256" -type f | xargs ls -S | head -n 1)
cp -p "$stored" "$scratch/stored"
chmod u+w "$stored"
printf 'x' >> "$stored"
code=0
said=$("$here/backup.sh" "$scratch/bot" drill 2>&1) || code=$?
[ "$code" -eq 3 ] || { echo "backup.sh ended with $code on a damaged backup: $said" >&2; exit 1; }
echo "backup.sh is silent while backups come back and says, when one does not:"
echo "$said" | tail -n 1
cp -p "$scratch/stored" "$stored"

code=0
said=$("$here/monthly.sh" "$scratch/bot" bot --metric token-f1 --profile live 2>&1) || code=$?
[ "$code" -eq 4 ] || { echo "monthly.sh ended with $code where more questions are needed to tell: $said" >&2; exit 1; }
echo "monthly.sh says when more questions are needed to tell:"
echo "$said" | grep '^inconclusive'

said=$("$here/nightly.sh" "$scratch/bot" 2>&1)
[ -z "$said" ] || { echo "nightly.sh is not silent on a healthy repository: $said" >&2; exit 1; }

object=$(find "$scratch/bot/.kf/objects/sha256" -type f | sort | head -n 1)
chmod u+w "$object"
printf 'x' >> "$object"
code=0
said=$("$here/nightly.sh" "$scratch/bot" 2>&1) || code=$?
[ "$code" -eq 3 ] || { echo "nightly.sh ended with $code on a damaged object: $said" >&2; exit 1; }
echo "nightly.sh is silent on a healthy repository and says, on a damaged one:"
echo "$said"
