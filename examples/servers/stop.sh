#!/bin/sh
# Stops version $KF_VERSION, if it runs.
set -eu
[ ! -f "run/$KF_VERSION/pid" ] || kill "$(cat "run/$KF_VERSION/pid")" 2> /dev/null || true
