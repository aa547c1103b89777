#!/bin/sh
# Registers two prompts, tests them, and shows that a worse one is refused before anybody gets it. Works on a copy.
set -eu
KF=${KF:-kf}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -R "$here/." "$scratch"
cd "$scratch"

"$KF" init --quiet
"$KF" prompt check
"$KF" prompt add prompts
"$KF" prompt vars answer
"$KF" prompt test
"$KF" prompt test sort.test.toml
"$KF" prompt render sort --var letter='May I renew my book?' --format json

# Somebody takes the citations out: the suite says no, with exit code 3.
grep -v 'Cite the passage' prompts/answer.txt > worse.txt
sed '/words:/d' worse.txt > prompts/answer.txt
"$KF" prompt add prompts/answer.txt
"$KF" prompt diff answer@1.0.0 answer
code=0
"$KF" prompt test --on answer || code=$?
[ "$code" -eq 3 ] || { echo "the worse prompt was not refused: exit code $code" >&2; exit 1; }
"$KF" prompt test --on answer@1.0.0
"$KF" prompt log answer
