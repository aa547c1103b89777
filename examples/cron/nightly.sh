#!/bin/sh
# Checks the state and the audit log every night. Says nothing when all is well, so that cron sends mail only on trouble.
#
#   17 3 * * *  /srv/bot/nightly.sh /srv/bot
#
# Ends with the exit code of the first check that says no: 3 broken, 4 inconclusive, 11 locked, see `docs/exit-codes.md`.
set -eu
KF=${KF:-kf}
repository=${1:?usage: nightly.sh REPOSITORY}

"$KF" -C "$repository" --quiet --lock-timeout 5m fsck
"$KF" -C "$repository" --quiet --lock-timeout 5m audit verify
# Moves to the trash what nothing needs any more, and deletes what has been there for 14 days.
"$KF" -C "$repository" --quiet --lock-timeout 5m gc --apply
