#!/bin/sh
# The official SDKs of OpenAI and Anthropic through the gateway, with only their environment set by `exec`, against
# a strict upstream on loopback; and a client of ANTHROPIC_UNIX_SOCKET.
#
#   HALLPASS=target/release/hallpass tests/peers/sdk.sh            through hallpass
#   tests/peers/sdk.sh --direct                                    without it: are upstream and scripts right?
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python node

# run NAME GRANT COMMAND...
run() {
  name=$1 grant=$2
  shift 2
  # Real keys lie around in the caller's environment, as they would; exec has to take them away.
  if OPENAI_API_KEY=$key_openai OPENAI_ADMIN_KEY=$key_openai ANTHROPIC_API_KEY=$key_anthropic \
    ANTHROPIC_AUTH_TOKEN=$key_anthropic timeout 60 "$HALLPASS" exec --no-project --as peer-test --task "$name" \
    --grant "$grant" -- "$@" >"$work/out" 2>&1; then
    ok "$name"
  else
    code=$?
    cat "$work/out" >&2
    fail "$name: exit code $code"
  fi
}

direct() {
  name=$1
  shift
  env -u ANTHROPIC_AUTH_TOKEN -u ANTHROPIC_CUSTOM_HEADERS -u OPENAI_ADMIN_KEY -u OPENAI_CUSTOM_HEADERS -u PEERS_KEY_MARK \
    PEERS_DIRECT=1 PEERS_TOKEN_PREFIX="sk""-" OPENAI_API_KEY="$key_openai" ANTHROPIC_API_KEY="$key_anthropic" \
    OPENAI_BASE_URL="$upstream/v1" ANTHROPIC_BASE_URL="$upstream" timeout 60 "$@" || fail "$name, without hallpass"
  ok "$name, without hallpass"
}

if [ "${1:-}" = --direct ]; then
  peers_upstream --direct
  for one in sdk_openai sdk_anthropic; do
    direct "$one.py" "$python" "$here/$one.py"
    direct "$one.mjs" node "$here/$one.mjs"
  done
  bad=$(peers_record 'select(.key_ok | not)')
  [ -z "$bad" ] || fail "the upstream refused: $bad"
  exit 0
fi

peers_start
run "OpenAI SDK for Python" openai:chat "$python" "$here/sdk_openai.py"
run "OpenAI SDK for Node" openai:chat node "$here/sdk_openai.mjs"
run "Anthropic SDK for Python" anthropic:messages "$python" "$here/sdk_anthropic.py"
run "Anthropic SDK for Node" anthropic:messages node "$here/sdk_anthropic.mjs"
# Once with the base URL that exec sets, once with the bare one that Claude Code's users set by hand.
run "ANTHROPIC_UNIX_SOCKET, base URL of exec" anthropic:messages \
  env ANTHROPIC_UNIX_SOCKET="$gateway_socket" node "$here/unix_anthropic.mjs"
run "ANTHROPIC_UNIX_SOCKET, http://localhost" anthropic:messages \
  env ANTHROPIC_UNIX_SOCKET="$gateway_socket" PEERS_UNIX_BASE_URL=http://localhost node "$here/unix_anthropic.mjs"
run "ANTHROPIC_UNIX_SOCKET, http://localhost/anthropic" anthropic:messages \
  env ANTHROPIC_UNIX_SOCKET="$gateway_socket" PEERS_UNIX_BASE_URL=http://localhost/anthropic node "$here/unix_anthropic.mjs"

# What reached the upstream: the real key in its place each time, no token, nothing outside the scopes.
bad=$(peers_record 'select(.key_ok | not)')
[ -z "$bad" ] || fail "the upstream saw what it must not see: $bad"
odd=$(peers_record 'select([.method, .path] | IN(
  ["POST", "/v1/chat/completions"], ["POST", "/v1/messages"], ["POST", "/v1/messages/count_tokens"]) | not)')
[ -z "$odd" ] || fail "a request outside the scopes reached the upstream: $odd"
seen=$(peers_record .path | wc -l)
[ "$seen" -ge 12 ] || fail "only $seen requests reached the upstream"
ok "the upstream saw the real key in its place, $seen times, and nothing else"

# Outside a task the same socket must not serve: there is no token, and this shell has no grant of its own.
status=$(curl -s -o "$work/out" -w '%{http_code}' --max-time 10 --unix-socket "$gateway_socket" \
  -H 'x-api-key: ssh-placeholder' -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \
  -d '{"model":"strict-1","max_tokens":8,"messages":[]}' http://localhost/anthropic/v1/messages || true)
case $status in
  401 | 403) ok "the socket without a task: $status" ;;
  *) fail "the socket without a task: $status $(cat "$work/out")" ;;
esac

# The store is in memory, so the keys may be in no file of hallpass's.
if grep -rl "$mark" "$HALLPASS_HOME" "$work/daemon.log"; then
  fail "a real key is in the files above"
fi
ok "no file of hallpass holds a real key"
