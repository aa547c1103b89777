#!/bin/sh
# Shows that nightly.sh is silent on a healthy repository, and loud with exit code 3 on a damaged one.
set -eu
KF=${KF:-kf}
export KF
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$KF" demo --dir "$scratch/bot" > /dev/null
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
