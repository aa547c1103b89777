#!/bin/sh
# Records metrics and checks what is watched. Says nothing while all is usual, so that cron sends mail only on an episode.
#
#   5 * * * *  /srv/bot/hourly.sh /srv/bot                               what the queries of mlops.toml give
#   5 * * * *  /srv/bot/hourly.sh /srv/bot queue="$(wc -l < queue)"      values of your own
#
# Ends with 3 while an episode is open, 4 when of a metric nothing can be said, 5 when a query failed, see `docs/exit-codes.md`.
set -eu
KF=${KF:-kf}
repository=${1:?usage: hourly.sh REPOSITORY [NAME=VALUE…]}
shift

recorded=0
"$KF" -C "$repository" --quiet --lock-timeout 5m monitor record "$@" || recorded=$?
checked=0
"$KF" -C "$repository" --quiet --lock-timeout 5m monitor check || checked=$?
# An open episode is the stronger answer, whatever failed before it.
[ "$checked" -ne 3 ] && [ "$recorded" -ne 0 ] && exit "$recorded"
exit "$checked"
