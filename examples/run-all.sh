#!/bin/sh
# Runs every example with the kf that is named by the first argument, by KF, or that is on the PATH.
#
#   examples/run-all.sh target/release/kf
set -eu
KF=${1:-${KF:-kf}}
case $KF in
/*) ;;
*/*) KF=$PWD/$KF ;;
esac
export KF
# What the caller's shell says about kf and GitHub is not for the examples.
unset KF_DIR KF_PROFILE KF_FORMAT KF_AS KF_STATE_URL KF_ARTIFACTS_URL KF_LOG_KEY
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY GITHUB_OUTPUT
here=$(cd "$(dirname "$0")" && pwd)

"$KF" --version
for example in command-system/run.sh prompts/run.sh cron/check.sh backup/check.sh github-actions/check.sh drift/check.sh canary/run.sh servers/run.sh ab/run.sh proxy/run.sh; do
    printf '\n== %s ==\n' "$example"
    "$here/$example" || { echo "examples/$example failed with $?" >&2; exit 1; }
done
printf '\n== support-bot ==\n'
"$KF" demo > /dev/null || { echo "kf demo failed with $?" >&2; exit 1; }
printf '\nAll examples ran.\n'
