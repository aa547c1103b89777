#!/bin/sh
# Tests a new prompt of a bot on its users: one that helps is promoted, one that makes the bot slow is stopped by its guardrail. Works
# on a copy.
set -eu
KF=${KF:-kf}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -R "$here/." "$scratch"
cd "$scratch"

# kf_ends CODE WORD…: shows and runs a kf command, which must end so.
kf_ends() {
    want=$1; shift
    printf '\n$ kf %s\n' "$*"
    code=0; "$KF" "$@" || code=$?
    [ "$code" -eq "$want" ] || { echo "kf $* ended with $code instead of $want" >&2; exit 1; }
}

"$KF" init -q
"$KF" register bot -q
printf 'Answer {question} in steps. End with a question.\n' > bot/prompt.txt
"$KF" register bot -q

kf_ends 0 ab plan --metric solved --base 0.6 --effect 0.05
kf_ends 0 ab create steps --control bot@1.0.0 --treatment bot@1.0.1 --metric solved --guardrail latency-ms:mean:lower=50 --base 0.6 --effect 0.05

# The application gives each user the version that kf would give.
for user in user-0 user-1 user-2 user-3 user-4; do
    says=$("$KF" ab assign steps --key $user)
    knows=$(python3 -c "import users; print(users.variant('steps', '$user', 50))")
    [ "${says%% *}" = "$knows" ] || { echo "kf gives $user $says, the application $knows" >&2; exit 1; }
done

# After a day it is open, after a week it is clear.
python3 users.py steps 50 600 0.60 0.66 400 405 > day.csv
kf_ends 0 ab record steps --from day.csv
kf_ends 4 ab analyze steps
python3 users.py steps 50 6000 0.60 0.66 400 405 > week.csv
kf_ends 0 ab record steps --from week.csv
kf_ends 0 ab analyze steps
kf_ends 0 ab stop steps --reason 'clear after a week'

# The same prompt on a model that is too slow: more users are helped, and all wait too long.
kf_ends 0 ab create slow --control bot@1.0.0 --treatment bot@1.0.1 --metric solved --guardrail latency-ms:mean:lower=50
python3 users.py slow 50 6000 0.60 0.66 400 520 | kf_ends 0 ab record slow --from -
kf_ends 3 ab analyze slow
kf_ends 0 fsck
