#!/bin/sh
# Takes a first version of the library desk into production, then shows that a worse one is refused. Works on a copy.
set -eu
KF=${KF:-kf}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -R "$here/." "$scratch"
cd "$scratch"

"$KF" init --quiet
"$KF" register desk
"$KF" eval desk --gate production
"$KF" promote desk --to staging
"$KF" promote desk --to production --first-release

# A threshold that declines nearly everything: the gate says no, with exit code 3.
printf 'top_k: 2\nleast_overlap: 0.95\n' > config/retrieval.yaml
"$KF" register desk
code=0
"$KF" eval desk || code=$?
[ "$code" -eq 3 ] || { echo "the worse version was not refused: exit code $code" >&2; exit 1; }
"$KF" audit verify
