#!/bin/sh
# Checks every `[drift.NAME]` of mlops.toml, sends alerts that could not be sent before, and tells what is overdue. Says nothing
# when all is well, so that cron sends mail only on drift.
#
#   7 * * * *  /srv/bot/hourly.sh /srv/bot
#
# Ends with 3 on drift or an overdue action, 4 when there is too little data, 1 when data cannot be read or nobody can be told,
# see `docs/exit-codes.md`.
set -eu
KF=${KF:-kf}
repository=${1:?usage: hourly.sh REPOSITORY}

code=0
"$KF" -C "$repository" --quiet --lock-timeout 5m drift check || code=$?
"$KF" -C "$repository" --quiet alert send || [ "$code" -ne 0 ] || code=$?
"$KF" -C "$repository" --quiet drift due || [ "$code" -ne 0 ] || code=$?
exit "$code"
