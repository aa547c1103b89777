#!/bin/sh
# Registers, evaluates and promotes one model; what the workflow runs. Works the same on a laptop.
#
#   release.sh MODEL ANSWERS TICKET
#
# Ends with 3 when a gate says no and 4 when one is inconclusive: the step is red, nothing was released.
set -eu
KF=${KF:-kf}
model=${1:?usage: release.sh MODEL ANSWERS TICKET}
answers=${2:?usage: release.sh MODEL ANSWERS TICKET}
ticket=${3:?usage: release.sh MODEL ANSWERS TICKET}

"$KF" register "$model" --ticket "$ticket"
"$KF" eval "$model" --answers "$answers" --gate staging --report junit=eval.xml --report html=eval.html
"$KF" promote "$model" --to staging --ticket "$ticket"
"$KF" promote "$model" --to production --ticket "$ticket"
"$KF" audit verify
