#!/bin/sh
# Starts version $KF_VERSION of $KF_MODEL at $KF_URL, with its files; kf asks whether it answers before.
set -eu
dir=run/$KF_VERSION
rm -rf "$dir"
mkdir -p "$dir"
"${KF:-kf}" checkout --quiet "$KF_MODEL@$KF_VERSION" "$dir/files"
PORT=${KF_URL##*:} KF_VERSION_DIR=$PWD/$dir/files nohup python3 serve.py > "$dir/log" 2>&1 &
echo $! > "$dir/pid"
