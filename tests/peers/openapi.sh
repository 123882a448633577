#!/bin/sh
# The API by its own document: every GET answered over `curl --unix-socket`, then schemathesis against all of it,
# which must find no 5xx and no answer that the document does not describe.
#
#   HALLPASS=target/release/hallpass tests/peers/openapi.sh
#
# Left out of the second part: `store/lock`, because a memory store that is locked has nothing to unlock, and adding
# to what is watched, because a made-up folder may be a real one, whose files nobody gave us. PEERS_SEED chooses other
# examples.
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python
peers_start

# get PATH: the answer in $work/answer, its status on standard output
get() {
  curl -s -o "$work/answer" -w '%{http_code}' --max-time 10 --unix-socket "$socket" "http://localhost$1"
}

# A task that is open and a lease that holds, so that their lists are not empty.
mkfifo "$work/held"
"$HALLPASS" exec --no-project --as peer-test --task "held open" --grant openai:chat -- \
  sh -c 'echo ready >"$1.ready"; read -r _ <"$1"' - "$work/held" >"$work/exec.log" 2>&1 &
pids="$pids $!"
wait_for "a task" test -s "$work/held.ready"

# A file that a secret was taken out of.
mkdir "$work/pasted"
printf 'TOKEN_SECRET=%s\n' "$(random_hex 24)" >"$work/pasted/.env"
"$HALLPASS" quarantine --yes --all "$work/pasted" >"$work/quarantine.log" 2>&1 || fail "quarantine: $(cat "$work/quarantine.log")"

# A remote MCP server, which nobody asks anything here, a rendered file, and keys (each rotation is seconds of work).
hallpass mcp add far http://127.0.0.1:9/mcp >/dev/null || fail "mcp add"
hallpass identity init >/dev/null || fail "identity init"
hallpass render add filled openai:chat --as peer-test >/dev/null || fail "render add"

status=$(get /v1/openapi.json)
[ "$status" = 200 ] || fail "GET /v1/openapi.json: $status"
cp "$work/answer" "$work/openapi.json"
cmp -s "$work/openapi.json" "$root/src/api/openapi.json" ||
  jq -e --slurpfile other "$root/src/api/openapi.json" '. == $other[0]' "$work/openapi.json" >/dev/null ||
  fail "the document that is served is not the one in the repository"

walked=0
for path in $(jq -r '.paths | to_entries[] | select(.value.get) | .key' "$work/openapi.json"); do
  case $path in
    *"{"*)
      # The first thing of its list has the id.
      list=${path%/\{*}
      field=$(printf %s "$path" | sed 's/.*{\(.*\)}.*/\1/')
      [ "$(get "$list")" = 200 ] || fail "GET $list: $(cat "$work/answer")"
      id=$(jq -r --arg field "$field" '.items[0] | .[$field] // .render[$field] // empty' "$work/answer")
      [ -n "$id" ] || fail "GET $list has nothing in it, so GET $path cannot be tried"
      url=$list/$id
      ;;
    *) url=$path ;;
  esac
  status=$(get "$url")
  [ "$status" = 200 ] || fail "GET $url: $status $(cat "$work/answer")"
  jq -e . "$work/answer" >/dev/null || fail "GET $url: the answer is no JSON"
  walked=$((walked + 1))
done
[ "$walked" -ge 10 ] || fail "the document names only $walked GET operations"
ok "curl --unix-socket: $walked GET operations answered"

python3 "$here/forward.py" "$socket" "$work/forward.port" 2>"$work/forward.log" &
pids="$pids $!"
wait_for "the forwarder" test -s "$work/forward.port"
# Through the forwarder too: otherwise all that follows would only see refusals.
status=$(curl -s -o "$work/answer" -w '%{http_code}' -H 'Host: localhost' "http://127.0.0.1:$(cat "$work/forward.port")/v1/ping")
[ "$status" = 200 ] || fail "GET /v1/ping through the forwarder: $status $(cat "$work/answer")"
if (cd "$work" && timeout 400 "$cache/venv/bin/schemathesis" run "$work/openapi.json" \
  --url "http://127.0.0.1:$(cat "$work/forward.port")" --header "Host: localhost" \
  --checks not_a_server_error,content_type_conformance,response_schema_conformance \
  --exclude-path /v1/store/lock --exclude-path /v1/identity/rotate --exclude-path /v1/watch --exclude-path /v1/watch/places \
  --phases examples,coverage,fuzzing --max-examples 25 --seed "${PEERS_SEED:-1}" --workers 1 \
  --continue-on-failure --suppress-health-check all --generation-database none --request-timeout 30 \
  --warnings off --no-color) >"$work/schemathesis.log" 2>&1; then
  ok "schemathesis: $(grep generated "$work/schemathesis.log" | tail -n 1 | sed 's/^ *//')"
else
  code=$?
  tail -n 120 "$work/schemathesis.log" >&2
  fail "schemathesis: exit code $code"
fi
kill -0 "$daemon" 2>/dev/null || fail "the daemon is gone"
[ "$(get /v1/ping)" = 200 ] || fail "the daemon does not answer any more"
ok "the daemon still answers"
