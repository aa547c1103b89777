#!/bin/sh
# Starts version $KF_VERSION of $KF_MODEL at $KF_URL, with its files; kf asks whether it answers before. Files that were checked out
# before are used again: the way back may be needed when the state is lost, and without that nothing can be checked out.
set -eu
dir=run/$KF_VERSION
files=$dir/${KF_DIGEST#sha256:}
# May be run twice: what was started a moment ago may not answer yet.
if [ -f "$dir/pid" ] && ps -o args= -p "$(cat "$dir/pid")" 2> /dev/null | grep -q serve.py; then
    exit 0
fi
if [ ! -d "$files" ]; then
    # Written beside and renamed: half a checkout is never used.
    rm -rf "$files.new"
    mkdir -p "$dir"
    "${KF:-kf}" checkout --quiet "$KF_MODEL@$KF_VERSION" "$files.new"
    mv "$files.new" "$files"
fi
PORT=${KF_URL##*:} KF_VERSION_DIR=$PWD/$files nohup python3 serve.py > "$dir/log" 2>&1 &
echo $! > "$dir/pid"
