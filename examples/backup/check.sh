#!/bin/sh
# Backs up a small repository, restores it with stock tools only, and lets kf look at what came back. An altered object is refused.
set -eu
KF=${KF:-kf}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

mkdir -p bot/config
"$KF" -C bot init --name shop > /dev/null
echo 'Answer {question} from {context}.' > bot/config/prompt.txt
"$KF" -C bot register bot config --type config > /dev/null
"$KF" -C bot backup keygen -o "$scratch/backup.key" > keygen.txt
recipient=$(grep -o 'age1[0-9a-z]*' keygen.txt | head -n 1)
cat >> bot/mlops.toml <<END

[backup]
recipients = ["$recipient"]

[backup.place]
url = "file://$scratch/place"
END
"$KF" -C bot backup run > /dev/null
set=$(ls place/sets)
"$here/restore.sh" place "$set" backup.key shop
[ -f shop/mlops.toml ] || cp bot/mlops.toml shop/
"$KF" -C shop --quiet fsck
"$KF" -C shop --quiet audit verify
echo 'kf finds nothing wrong with what came back.'

object=$(find place/sha256 -type f | sort | head -n 1)
chmod u+w "$object"
printf x >> "$object"
code=0
said=$("$here/restore.sh" place "$set" backup.key again 2>&1) || code=$?
[ "$code" -eq 1 ] && [ ! -e again ] || { echo "restore.sh ended with $code on an altered object: $said" >&2; exit 1; }
echo "An altered object is refused: $(echo "$said" | tail -n 1)"
