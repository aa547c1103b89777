#!/bin/sh
# Looks for a better version of what is in production, once a month. Says nothing when there is none, or when it is in staging now.
#
#   30 2 1 * *  /srv/bot/monthly.sh /srv/bot bot --model --max-cost 5 --notify team
#
# Ends with 4 when more questions are needed to tell, with 3 when a gate says no or retrieval finds too little, see `docs/optimize.md`.
set -eu
KF=${KF:-kf}
repository=${1:?usage: monthly.sh REPOSITORY MODEL [OPTIONS]}
model=${2:?usage: monthly.sh REPOSITORY MODEL [OPTIONS]}
shift 2

exec "$KF" -C "$repository" --quiet --lock-timeout 5m optimize "$model@production" "$@"
