#!/bin/sh
# Runs release.sh as GitHub Actions would: a version whose gates pass, then one whose gates fail.
set -eu
KF=${KF:-kf}
export KF
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "$*" >&2; exit 1; }

"$KF" demo --dir "$scratch/bot" > /dev/null
cd "$scratch/bot"
# The demo's gateway is gone: a release moves the registry alone.
sed '/^\[target.local\]$/,$d' mlops.toml > mlops.new
mv mlops.new mlops.toml
export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY="$scratch/summary" GITHUB_OUTPUT="$scratch/output"
: > "$GITHUB_STEP_SUMMARY"
: > "$GITHUB_OUTPUT"

# Version 2 of the example, with one more line: better than what the demo left in production.
printf '\nBe brief.\n' >> config/current/prompts/answer.txt
"$here/release.sh" bot answers/2.jsonl GH-1 || fail "a version whose gates pass was not released"
sed -n '/^verdict<</{n;p;}' "$GITHUB_OUTPUT" | grep -qx pass || fail "no verdict among the outputs"
grep -q 'gates of staging' "$GITHUB_STEP_SUMMARY" || fail "no gates in the step summary"
grep -q '<testsuites' eval.xml || fail "no JUnit report"

printf '\nBe very brief.\n' >> config/current/prompts/answer.txt
code=0
"$here/release.sh" bot answers/3.jsonl GH-2 > "$scratch/said" 2>&1 || code=$?
cat "$scratch/said"
[ "$code" -eq 3 ] || fail "a version whose gates fail ended with $code"
grep -q '^::error' "$scratch/said" || fail "no annotation for the gate that failed"

# A pull request that declines nearly every question, then one that touches nothing: what the workflow of pull requests runs.
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY GITHUB_OUTPUT
cp -R "$here/../command-system" "$scratch/desk"
cd "$scratch/desk"
git init -q -b main
git config user.name "Ada Example"
git config user.email ada@example.com
git add .
git commit -qm first
git checkout -qb less
printf 'top_k: 2\nleast_overlap: 0.95\n' > config/retrieval.yaml
git commit -qam 'Answer less'
code=0
"$here/review.sh" main || code=$?
[ "$code" -eq 3 ] || fail "a pull request that makes answers worse ended with $code"
cat comment.md
grep -q '^<!-- kf-ci-comment:prompts -->$' comment.md || fail "no mark to find the comment by"
grep -q 'gate words fails: token-f1' comment.md || fail "the comment does not say what fails"
git checkout -q main
"$here/review.sh" main || fail "a pull request that touches no model ended with $?"
grep -q 'no model changed' comment.md || fail "the comment does not say that no model changed"
