#!/bin/sh
# From nothing to a canary and back through nginx and Envoy, whichever of them is on the PATH. Works on copies, on free ports.
set -eu
KF=${KF:-kf}
export KF
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
server='' users='' release=''
home() {
    for one in $release $users $server $(cat "$scratch"/*/run/*/pid 2> /dev/null); do kill "$one" 2> /dev/null || true; done
    wait
    rm -rf "$scratch"
}
trap home EXIT
trap 'exit 130' INT TERM
fail() { echo "$*" >&2; cat ./*.log >&2; exit 1; }

# within WORDS COMMAND…: waits until a command succeeds, at most a minute.
within() {
    what=$1; shift
    for _ in $(seq 600); do
        ! "$@" 2> /dev/null || return 0
        sleep 0.1
    done
    fail "$what"
}
# answers WORDS: a user's answer has these words.
answers() {
    python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode(), end="")' \
        "http://127.0.0.1:$port/answer" | grep "$1"
}
kf_does() { printf '\n$ kf %s\n' "$*"; "$KF" "$@"; }

# through TARGET FILE COMMAND…: a first release, a canary and the way back; the server is started as soon as its file is there.
through() {
    target=$1 file=$2; shift 2
    kf_does init --quiet
    kf_does register bot
    kf_does promote bot --to staging
    printf '\n$ kf deploy bot@1.0.0 --target %s --first-release &\n' "$target"
    "$KF" deploy bot@1.0.0 --target "$target" --first-release > deploy.log 2>&1 &
    release=$!
    within "kf wrote no file" test -f "$file"
    "$@" > server.log 2>&1 &
    server=$!
    within "nobody answers" answers 'says 1.0.0'
    python3 users.py "http://127.0.0.1:$port" > users.log &
    users=$!
    wait "$release" || fail "the first release did not end well"
    release=''
    printf 'Answer briefly.\n' >> bot/prompt.txt
    kf_does register bot
    kf_does promote bot --to staging
    kf_does canary start bot --target "$target" || fail "the canary was not promoted"
    answers 'says 1.0.1' || fail "the version that was promoted does not answer"
    kf_does rollback bot --target "$target" --reason "a test" || fail "it is not back"
    answers 'says 1.0.0' || fail "the version that is back does not answer"
    # Without the state: what was stopped is started again from the files that start.sh kept.
    mv .kf lost
    kf_does rollback bot --emergency --to 1.0.1 --target "$target" --reason "a test" || fail "it did not move without the state"
    answers 'says 1.0.1' || fail "the version that was moved to without the state does not answer"
    for one in $users $server; do kill "$one" && wait "$one" || true; done
    users='' server=''
    cat users.log
}

for name in nginx envoy; do
    command -v "$name" > /dev/null || { echo "$name is not on the PATH: left out"; continue; }
    mkdir "$scratch/$name"
    cd "$scratch/$name"
    cp -R "$here/." "$here/../canary/bot" "$here/../canary/serve.py" "$here/../canary/users.py" .
    mkdir kf
    # Ports of versions stand below those that the system gives to connections: nine and two digits become four other ones.
    set -- $(python3 -c 'import random, socket
def free(port):
    try: return socket.create_server(("127.0.0.1", port)).getsockname()[1]
    except OSError: return None
while True:
    tens = random.randrange(1100, 3200)
    if all(free(tens * 10 + patch) for patch in range(2)): break
print(tens, free(0), free(0))')
    port=$2
    sed "s#:9{major}{minor}{patch}#:$1{patch}#; s#:8080/#:$2/#; s#:9901#:$3#; s#/etc/[a-z]*/kf#$PWD/kf#; s#/var/log/nginx#$PWD#
        s#\"nginx\", #\"nginx\", \"-p\", \"$PWD\", \"-e\", \"error.log\", \"-c\", \"$PWD/nginx.conf\", #" "$here/mlops.toml" > mlops.toml
    printf '\n== %s ==\n' "$name"
    case $name in
    nginx)
        {
            printf 'pid nginx.pid;\nerror_log error.log;\n'
            sed "s#/etc/nginx/kf#$PWD/kf#; s#/var/log/nginx#$PWD#; s#listen 8080#listen 127.0.0.1:$port#
                s#^http {#http {\n    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;#" "$here/nginx.conf"
        } > nginx.conf
        through web kf/bot.conf nginx -p "$PWD" -e error.log -c "$PWD/nginx.conf" -g 'daemon off;' ;;
    envoy)
        sed "s#/etc/envoy/kf#$PWD/kf#; s#0.0.0.0, port_value: 8080#127.0.0.1, port_value: $port#; s#port_value: 9901#port_value: $3#" "$here/envoy.yaml" > envoy.yaml
        through edge kf/routes.json envoy -c envoy.yaml --disable-hot-restart --concurrency 1 ;;
    esac
done
