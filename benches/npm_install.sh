#!/usr/bin/env bash
# What the daemon costs while `npm install` writes a large tree under a folder that it watches: its CPU time and
# memory before and after, beside npm's own. Needs Linux, npm and its registry (first argument: the packages).
#
#   HALLPASS=target/release/hallpass benches/npm_install.sh [PACKAGE...]
set -euo pipefail
: "${HALLPASS:?set it to the path of the binary}"
HALLPASS=$(realpath "$HALLPASS")
[ $# -gt 0 ] || set -- react-scripts@5 next@15 typescript@5 eslint@9 jest@29 webpack@5

work=$(mktemp -d "${TMPDIR:-/tmp}/hp-npm.XXXXXX")
work=$(realpath "$work")
export HALLPASS_HOME=$work/home HALLPASS_AUTOSTART=0
mkdir "$HALLPASS_HOME" "$work/project"
printf '[store]\nkind = "memory"\n\n[daemon]\nheadless_human = true\n' >"$HALLPASS_HOME/config.toml"
"$HALLPASS" daemon 2>"$work/daemon.log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; rm -rf "$work"' EXIT

until_ok() { # a condition, for thirty seconds at the most
  local end=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "waited in vain: $*" >&2; exit 1; }
    read -rt 0.05 <> <(:) || true
  done
}
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); printf "%d", ($12 + $13) * 1000 / hz }' "/proc/$daemon/stat"; }
memory() { awk -v name="$1:" '$1 == name { printf "%.1f MB", $2 / 1024 }' "/proc/$daemon/status"; }
ready() { "$HALLPASS" --json watch list | grep -q '"ready": *true'; }
taken() { grep -q '^KEY=hallpass:' "$work/project/.env"; }

until_ok "$HALLPASS" status
"$HALLPASS" watch add --yes "$work/project" >/dev/null
until_ok ready
before=$(cpu_ms)
echo "daemon before: CPU $before ms, resident $(memory VmRSS)"
cd "$work/project"
echo '{"name":"tree","private":true}' >package.json
TIMEFORMAT='npm install: CPU %U s user + %S s system, %R s in all'
time npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps "$@"
after=$(cpu_ms)
echo "files written: $(find . -type f | wc -l) in $(find . -type d | wc -l) folders"
echo "daemon after: CPU $((after - before)) ms for it, resident $(memory VmRSS), at the most $(memory VmHWM)"
"$HALLPASS" --json watch list | grep -E '"(folders|rescans|degraded)"'
# It still sees what counts.
printf 'KEY=sk-%s-api03-%sAA\n' ant "$(od -An -N47 -tx1 /dev/urandom | tr -d ' \n' | cut -c1-93)" >.env
until_ok taken
echo "a key that is pasted now is taken out"
