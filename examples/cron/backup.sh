#!/bin/sh
# Makes the backups whose time has come, and with `drill` proves that they come back and removes what no rule keeps. Says nothing when all is
# well, so that cron sends mail only on trouble.
#
#   12 * * * *  /srv/bot/backup.sh /srv/bot             every hour: a plan that is not due costs nothing
#   40 4 1 * *  /srv/bot/backup.sh /srv/bot drill       every month, on a host that has the key
#
# Ends with 3 when a set does not come back, or locks do not hold, see `docs/exit-codes.md`.
set -eu
KF=${KF:-kf}
repository=${1:?usage: backup.sh REPOSITORY [drill]}

if [ "${2:-}" = drill ]; then
    "$KF" -C "$repository" --quiet --lock-timeout 5m backup drill --also-older
    "$KF" -C "$repository" --quiet --lock-timeout 5m backup prune --apply
    exec "$KF" -C "$repository" --quiet backup status
fi
exec "$KF" -C "$repository" --quiet --lock-timeout 5m backup run --due
