# Words for the first steps with this folder, which pages of docs/ start from. In a copy of it:
#
#   . ./steps.sh
#   start && version 1 && staging && production --first-release
#
# It needs `kf` on the PATH.

# A state, with a key that signs the audit log.
start() { kf init -q && kf audit key --generate --out log.key -q && printf '\n[signing]\nlog-key = "file:log.key"\n' >> mlops.toml; }
# The files of configuration 1, 2 or 3 become those of `bot`.
use() { mkdir -p config/current && cp -R "config/$1/." config/current/; }
# Registers configuration 1, 2 or 3 as the next version, and evaluates what it answered.
version() { use "$1" && kf register bot -q; kf eval bot --answers "answers/$1.jsonl" -q > /dev/null || true; }
# Promotes the newest version.
staging() { kf promote bot --to staging -q; }
production() { kf promote bot --to production -q "$@"; }
# The release of `kf demo` as a whole.
tour() {
    start && version 1 && staging && production --first-release --ticket OPS-1 --reason 'first release' && version 3 &&
        { staging > /dev/null || true; } && version 2 && staging &&
        production --ticket OPS-2 --reason 'complete, cited answers'
}
