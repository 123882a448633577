#!/bin/sh
# A running daemon whose credentials rest in a real gnome-keyring: in use, locked, unlocked, ended, started again.
# Runs inside the session bus that secret_service.sh makes.
PEERS_STORE=keyring
. "$(dirname "$0")/lib.sh"

keyring=
keyring_start() {
  printf '%s' "a password" |
    gnome-keyring-daemon --replace --foreground --unlock --components=secrets >/dev/null 2>&1 &
  keyring=$!
  wait_for "the keyring" open_now
}

# Asks the keyring itself, past hallpass.
open_now() {
  dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets/collection/login \
    org.freedesktop.DBus.Properties.Get string:org.freedesktop.Secret.Collection string:Locked | grep -q 'boolean false'
}

# request STATUS WHAT: one call through the gateway
request() {
  body='{"model":"strict-1","messages":[{"role":"user","content":"hello"}]}'
  got=$(curl -s -o "$work/out" -w '%{http_code}' --max-time 20 -H "authorization: Bearer $token" \
    -H 'content-type: application/json' -d "$body" "$gateway/openai/v1/chat/completions")
  [ "$got" = "$1" ] || fail "$2: $got instead of $1: $(cat "$work/out")"
  ok "$2: $got"
}

works_again() {
  [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 20 -H "authorization: Bearer $token" \
    -H 'content-type: application/json' -d '{"model":"strict-1","messages":[{"role":"user","content":"hello"}]}' \
    "$gateway/openai/v1/chat/completions")" = 200 ]
}

keyring_start
pids="$pids $keyring"
peers_start
token=$(hallpass mint openai:chat --as peer-test) || fail "mint"
request 200 "the key comes from the keyring"
secret-tool lookup service hallpass username openai 2>/dev/null | base64 -d 2>/dev/null | grep -qF "$key_openai" ||
  fail "the keyring does not hold the key"
ok "the keyring holds the key"

dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
  org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login >/dev/null ||
  fail "the keyring could not be locked"
request 423 "locked"
[ "$(hallpass status --json | jq -r .store.state)" = locked ] || fail "status does not say locked"
ok "status says locked"

kill "$keyring" && wait "$keyring" || true
keyring_start
pids="$pids $keyring"
wait_for "the daemon after the unlock" works_again
ok "unlocked under the running daemon"

kill -9 "$keyring" && wait "$keyring" || true
request 503 "the keyring is gone"
keyring_start
pids="$pids $keyring"
wait_for "the daemon after the restart" works_again
ok "started again under the running daemon"
[ "$(hallpass status --json | jq -r .pid)" = "$daemon" ] || fail "the daemon is another one"
ok "it was one daemon all along"
