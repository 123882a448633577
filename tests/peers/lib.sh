# Shared by the scripts here: a throw-away hallpass beside the strict upstream. Source it.
#
#   peers_start                    all below, and credentials, a principal and its grants
#   peers_daemon [--plain]         work folder, keys, upstream, config, daemon
#   peers_upstream [--direct]      only the work folder, the keys and the upstream
#   peers_record JQ-FILTER         what the upstream saw, one JSON object a line
#
# HALLPASS names the binary. Afterwards: $work, $HALLPASS_HOME, $upstream (http://127.0.0.1:PORT), $mark (a text in
# every real key), $key_openai, $key_anthropic, $key_gemini, $gateway (http://127.0.0.1:PORT), $socket, $gateway_socket.
# shellcheck shell=sh
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$here/.cache
python=$cache/venv/bin/python
export PEERS_NODE_MODULES="$cache/node/node_modules"
# Nothing here may leave the machine, and no proxy may stand in between.
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy HALLPASS_SOCKET HALLPASS_TASK || true
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost

pids=

fail() {
  echo "FAIL $*" >&2
  if [ -n "${work:-}" ] && [ -s "$work/daemon.log" ]; then
    echo "--- the end of the daemon's log" >&2
    tail -n 20 "$work/daemon.log" >&2
  fi
  exit 1
}

ok() {
  echo "ok $*"
}

# Runs a command until it works, for ten seconds at the most.
wait_for() {
  what=$1
  shift
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail "$what did not come up within ten seconds"
    sleep 0.05
  done
}

peers_clean() {
  code=$?
  trap - EXIT INT TERM
  for pid in $pids; do
    kill "$pid" 2>/dev/null || true
  done
  for pid in $pids; do
    wait "$pid" 2>/dev/null || true
  done
  if [ "$code" -ne 0 ] && [ -n "${PEERS_KEEP:-}" ]; then
    echo "kept: $work" >&2
  else
    rm -rf "$work"
  fi
  exit "$code"
}

random_hex() {
  od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

peers_upstream() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/hp-peers.XXXXXX")
  trap peers_clean EXIT
  trap 'exit 130' INT TERM
  mark="peer$(random_hex 8)"
  # Put together here, so that no text in the repository looks like a key.
  key_openai="sk""-proj-$mark$(random_hex 27)T3Blbk""FJ$(random_hex 37)"
  key_anthropic="sk""-ant-api03-$mark$(random_hex 36)AAA"
  key_gemini="AI""za$(printf %s "$mark$(random_hex 20)" | cut -c1-35)"
  mkdir "$work/keys"
  printf %s "$key_openai" >"$work/keys/openai"
  printf %s "$key_anthropic" >"$work/keys/anthropic"
  printf %s "$key_gemini" >"$work/keys/gemini"
  : >"$work/record"
  python3 "$here/upstream.py" --record "$work/record" --port-file "$work/port" \
    --openai-key-file "$work/keys/openai" --anthropic-key-file "$work/keys/anthropic" \
    --gemini-key-file "$work/keys/gemini" "$@" \
    >"$work/upstream.log" 2>&1 &
  pids="$pids $!"
  wait_for "the upstream" test -s "$work/port"
  upstream="http://127.0.0.1:$(cat "$work/port")"
  export PEERS_KEY_MARK="$mark"
}

peers_record() {
  jq -c "$1" "$work/record"
}

# In the background, name "$HALLPASS" instead: a function would run in a shell of its own, and $! would be that shell.
hallpass() {
  "$HALLPASS" "$@"
}

daemon_ready() {
  hallpass status --json >"$work/status.json" 2>/dev/null && jq -e '.gateway.url' "$work/status.json"
}

peers_daemon() {
  [ -x "${HALLPASS:-}" ] || fail "set HALLPASS to the path of the binary"
  HALLPASS=$(cd "$(dirname "$HALLPASS")" && pwd)/$(basename "$HALLPASS")
  command -v jq >/dev/null || fail "jq is missing: $here/install.sh apt"
  peers_upstream
  # A home of its own: whatever a test asks of the watcher, nobody's real files are below it.
  mkdir "$work/user"
  if [ "${1:-}" = --plain ]; then
    # As on a person's machine: what an assistant starts with a cleared environment has to find the daemon too.
    unset HALLPASS_HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME || true
    export HOME="$work/user"
    config_dir="$HOME/.config/hallpass"
  else
    export HALLPASS_HOME="$work/home"
    config_dir="$HALLPASS_HOME"
  fi
  mkdir -p "$config_dir"
  python3 "$here/route_config.py" "$upstream" "$root/data/routes/openai.toml" "$root/data/routes/anthropic.toml" \
    "$root/data/routes/gemini.toml" >"$config_dir/config.toml"
  # Every request asks the store itself: nothing may be served from the cache while it is locked.
  [ "${PEERS_STORE:-memory}" = memory ] ||
    sed -i "s/^kind = \"memory\"/kind = \"$PEERS_STORE\"\ncache = \"0s\"/" "$config_dir/config.toml"

  HOME="$work/user" "$HALLPASS" daemon >"$work/daemon.log" 2>&1 &
  daemon=$!
  pids="$pids $daemon"
  wait_for "the daemon" daemon_ready
  gateway=$(jq -r .gateway.url "$work/status.json")
  gateway_socket=$(jq -r .gateway.socket "$work/status.json")
  socket=$(jq -r .socket "$work/status.json")
}

peers_start() {
  peers_daemon
  printf %s "$key_openai" | hallpass credential add openai --base-url "$upstream" >/dev/null ||
    fail "credential add openai"
  printf %s "$key_anthropic" | hallpass credential add anthropic --base-url "$upstream" >/dev/null ||
    fail "credential add anthropic"
  hallpass principal add peer-test --kind agent >/dev/null || fail "principal add"
  # Under an assistant, --as does not count: then the assistant itself is given the same.
  you=$(jq -r 'if (.you.kind == "unknown" or .you.kind == "human") then empty else .you.principal end' "$work/status.json")
  for who in peer-test $you; do
    hallpass grant add "$who" openai:chat >/dev/null || fail "grant add $who openai:chat"
    hallpass grant add "$who" anthropic:messages >/dev/null || fail "grant add $who anthropic:messages"
  done
}
