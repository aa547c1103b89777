#!/bin/sh
# Gives versions of a bot to users step by step: a bad one is taken back, a good one is promoted, and then rolled back. Works on a
# copy, with a gateway and users of its own on free ports.
set -eu
KF=${KF:-kf}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
gateway='' users=''
home() {
    for one in $users $gateway; do kill "$one" 2> /dev/null && wait "$one" || true; done
    rm -rf "$scratch"
}
trap home EXIT
trap 'exit 130' INT TERM
fail() { echo "$*" >&2; [ ! -f gateway.log ] || cat gateway.log >&2; exit 1; }

# kf_ends CODE WORD…: shows and runs a kf command, which must end so.
kf_ends() {
    want=$1; shift
    printf '\n$ kf %s\n' "$*"
    code=0; "$KF" "$@" || code=$?
    [ "$code" -eq "$want" ] || fail "kf $* ended with $code instead of $want"
}

# Starts a gateway on two free ports, and waits until it serves.
serve() {
    ports=$(python3 -c 'import socket
two = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in two))')
    port=${ports% *}
    sed "s/:8080/:$port/; s/:8081/:${ports#* }/" "$here/mlops.toml" > mlops.toml
    "$KF" gateway run > gateway.log 2>&1 &
    gateway=$!
    for _ in $(seq 600); do
        ! grep -q 'serves http' gateway.log || return 0
        # It ended: somebody else took a port in between.
        kill -0 "$gateway" 2> /dev/null || return 1
        sleep 0.1
    done
    return 1
}

answers() { python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode(), end="")' "http://127.0.0.1:$port/answer"; }

cp -R "$here/." "$scratch"
cd "$scratch"
kf_ends 0 init --quiet
kf_ends 0 register bot
kf_ends 0 promote bot --to staging
kf_ends 0 promote bot --to production --first-release
serve || serve || serve || fail "the gateway does not serve"
cat gateway.log
python3 users.py "http://127.0.0.1:$port" > users.log &
users=$!

# More passages, in less time than looking them up takes: one question in five gets no answer.
printf '{"top_k": 8, "timeout_ms": 4}\n' > bot/retrieval.json
kf_ends 0 register bot
kf_ends 0 promote bot --to staging
kf_ends 3 canary start bot --plan quick --watch
kf_ends 0 canary explain bot
answers | grep 'says 1.0.0' || fail "the version that was taken back still answers"

# With the time that it takes.
printf '{"top_k": 8, "timeout_ms": 10}\n' > bot/retrieval.json
kf_ends 0 register bot
kf_ends 0 promote bot --to staging
kf_ends 0 canary start bot --plan quick --watch --ticket OPS-2 --reason "more passages"
answers | grep 'says 1.0.2' || fail "the version that was promoted does not answer"

kf_ends 0 rollback bot --ticket INC-7 --reason "a customer complains about long answers"
answers | grep 'says 1.0.0' || fail "the version that is back does not answer"
kf_ends 0 history bot

kill "$users" && wait "$users"
users=''
printf '\nWho answered:\n'
cat users.log
# Only the version that was taken back failed anybody.
! grep -v ': 200,' users.log | grep -v '^1.0.1: 504,' || fail "users met something else"
kf_ends 0 audit verify
