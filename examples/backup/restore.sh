#!/bin/sh
# Restores a backup set of kf without kf: with age, zstd, tar, jq, sha256sum, and sqlite3, git and pg_restore for what they read.
#
#   restore.sh PLACE SET KEY FOLDER      PLACE is a folder; `aws s3 sync s3://BUCKET/PREFIX PLACE` makes one of a bucket
#
# Every object is held against the digest that names it before it is decrypted, and what was decrypted against the manifest. Who signed
# the manifest is not checked here: its last lines are signatures (https://c2sp.org/signed-note).
set -eu
fail() { echo "restore.sh: $*" >&2; exit 1; }
[ $# -eq 4 ] || fail 'usage: restore.sh PLACE SET KEY FOLDER'
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
place=$(absolute "$1") set=$2 key=$(absolute "$3") to=$(absolute "$4")
for program in age zstd tar jq sha256sum; do
    command -v "$program" > /dev/null || fail "$program is not installed"
done
[ -f "$place/sets/$set" ] || fail "$place has no set $set; it has: $(cd "$place/sets" 2> /dev/null && echo *)"
[ ! -e "$to" ] || fail "$to is there already"
umask 077
mkdir -p "$to.restoring"
work=$(mktemp -d "$to.restoring/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The manifest is the first line; signatures follow.
head -n 1 "$place/sets/$set" > "$work/manifest"
of() { jq --raw-output "$@" "$work/manifest"; }
[ "$(of .schema)" = kf.backup-set/1 ] || fail "the set has the form $(of .schema), which this script does not know"
[ "$(of .id)" = "$set" ] || fail "the manifest says that it is $(of .id)"

sha256() { sha256sum < "$1" | cut -d ' ' -f 1; }

# stored DIGEST: the file of an object, whose bytes are what its name says.
stored() {
    hex=${1#sha256:}
    file=$place/sha256/$(printf %.2s "$hex")/${hex#??}
    [ -f "$file" ] || fail "object $1 is missing"
    [ "$(sha256 "$file")" = "$hex" ] || fail "object $1 was altered"
    echo "$file"
}

# opened DIGEST PLAIN FILE: what an object held before it was compressed and encrypted.
opened() {
    from=$(stored "$1")
    age --decrypt --identity "$key" --output "$work/zst" "$from" || fail "this key does not open object $1"
    zstd --decompress --quiet --force -o "$3" "$work/zst" || fail "object $1 cannot be unpacked"
    rm -f "$work/zst"
    [ "$(sha256 "$3")" = "${2#sha256:}" ] || fail "object $1 holds something else than the manifest says"
}

of '.components[] | [.name, .kind, .stored.object, .stored.plain] | @tsv' > "$work/components"
while IFS="$(printf '\t')" read -r name kind object plain; do
    opened "$object" "$plain" "$work/tar"
    mkdir -p "$to.restoring/restored/$name"
    tar --extract --no-same-owner --file "$work/tar" --directory "$to.restoring/restored/$name"
    rm -f "$work/tar"
    case $kind in
    postgres) pg_restore --list "$to.restoring/restored/$name/database" > /dev/null ;;
    esac
    echo "$name: $(of --arg name "$name" '.components[] | select(.name == $name).counts | to_entries | map(select(.value > 0) | "\(.value) \(.key)") | join(", ")')"
done < "$work/components"

# Git first: `git clone` takes no folder that has something in it.
cd "$to.restoring"
if [ -d restored/git ]; then
    git clone --quiet --origin backup restored/git/repository.bundle "$work/clone"
    for entry in "$work/clone"/* "$work/clone"/.[!.]*; do
        [ ! -e "$entry" ] || mv "$entry" .
    done
fi
mkdir -p .kf
if [ -d restored/state ]; then
    mv restored/state/state.db .kf/state.db
    rmdir restored/state
    [ "$(sqlite3 -readonly .kf/state.db 'PRAGMA integrity_check')" = ok ] || fail 'the state is damaged'
    entries=$(sqlite3 -readonly .kf/state.db 'SELECT count(*) FROM ev')
    [ "$entries" = "$(of .log.size)" ] || fail "the audit log has $entries entries, and the manifest says $(of .log.size)"
fi

# Each object of a version is encrypted by itself. The list of them is not; it has a line of JSON for each.
if [ "$(of .artifacts)" != null ]; then
    cd - > /dev/null
    list=$(stored "$(of .artifacts.index)")
    [ "$(grep -c . "$list")" = "$(of .artifacts.objects)" ] || fail 'the list of objects has others than the manifest says'
    jq --raw-output '[.object, .plain] | @tsv' "$list" > "$work/artifacts"
    while IFS="$(printf '\t')" read -r object plain; do
        hex=${plain#sha256:}
        mkdir -p "$to.restoring/.kf/objects/sha256/$(printf %.2s "$hex")"
        opened "$object" "$plain" "$to.restoring/.kf/objects/sha256/$(printf %.2s "$hex")/${hex#??}"
    done < "$work/artifacts"
    echo "artifacts: $(of .artifacts.objects) objects"
fi
rm -rf "$work"
mv "$to.restoring" "$to"
echo "The set $set is in $to."
