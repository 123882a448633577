#!/bin/sh
# The device as an issuer: its assertions, verified by PyJWT in strict stand-ins; the vendors' own SDKs (anthropic, openai,
# google-auth) completing their exchange with them and calling; Roles Anywhere's X.509 signatures, verified with cryptography by
# the documented algorithm.
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python tools apt >/dev/null
tools=$cache/tools/bin/python

peers_daemon
hallpass identity init --issuer https://hallpass.example/d1 >/dev/null || fail "identity init"
hallpass identity jwks >"$work/jwks.json" || fail "identity jwks"
jq -e '.keys | length == 2 and all(has("d") or has("p") | not)' "$work/jwks.json" >/dev/null || fail "the JWKS"
# A CA of the company's signs the requests for both keys.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -days 2 -keyout "$work/keys/ca.key" -out "$work/ca.pem" 2>/dev/null
printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n' >"$work/ext"
for alg in rs256 es256; do
  hallpass identity certificate --request --alg "$alg" >"$work/$alg.csr" || fail "request $alg"
  openssl x509 -req -in "$work/$alg.csr" -CA "$work/ca.pem" -CAkey "$work/keys/ca.key" -CAcreateserial -days 2 \
    -extfile "$work/ext" -out "$work/$alg.pem" 2>/dev/null || fail "the CA signs $alg"
  hallpass identity certificate --install --alg "$alg" <"$work/$alg.pem" >/dev/null || fail "install $alg"
done
"$tools" "$here/issuers_identity.py" "$work/idp.port" "$work/jwks.json" "$work/ca.pem" >"$work/idp.log" 2>&1 &
pids="$pids $!"
wait_for "the stand-ins" test -s "$work/idp.port"
url="http://127.0.0.1:$(cat "$work/idp.port")"
provider=//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/d
hallpass principal add bot --kind agent >/dev/null
you=$(jq -r 'if (.you.kind == "unknown" or .you.kind == "human") then empty else .you.principal end' "$work/status.json")
[ -z "$you" ] || { echo "skip under $you: the stand-ins have rules for bot"; exit 0; }

# added NAME WANT KIND ARGS...: an issuer and bot's grant for it.
added() {
  name=$1 want=$2 kind=$3
  shift 3
  hallpass issuer add "$kind" "$name" "$@" >/dev/null || fail "issuer add $kind"
  hallpass grant add bot "$name:$want" --ttl 1h >/dev/null || fail "grant add $name"
}
minted() {
  hallpass mint "$1" --as bot --ttl "$2" --json >"$work/minted.json" || { cat "$work/idp.log" >&2; fail "mint $1"; }
}

added claude workspace:inference anthropic --rule fdrl_1 --organization 00000000-0000-4000-8000-000000000001 \
  --base-url "$url" --allow-private
minted claude:workspace:inference 60s
jq -e '.expires_in <= 60 and (.access_token | startswith("sk-ant-")) and (.revocable | not)' "$work/minted.json" >/dev/null || fail "60 s"
minted claude:workspace:inference 30m
jq -e '.expires_in > 1700' "$work/minted.json" >/dev/null || fail "the life of the assertion is not the token's"
ok "anthropic: a token of 60 s and one of 30 min, by the assertion's life"
added oai api openai --provider wip_1 --service-account sa_1 --token-url "$url/openai/oauth/token" --allow-private --alg rs256
minted oai:api 5m
ok "openai: exchanged, signed RS256"
added router api openrouter --token-url "$url/openrouter/oauth/token" --allow-private
minted router:api 5m
ok "openrouter: exchanged"
for how in federated impersonated; do
  [ "$how" = federated ] || set -- --service-account a@p.iam.gserviceaccount.com
  [ "$how" = impersonated ] || set --
  added "gcp-$how" storage:read gcp --provider "$provider" --sts-url "$url/sts/v1/token" --iam-url "$url/iam" --allow-private "$@"
done
minted gcp-federated:storage:read 5m
minted gcp-impersonated:storage:read 5m
jq -e '.expires_in <= 300 and .upstream_expires_at == null' "$work/minted.json" >/dev/null || fail "the lifetime"
minted gcp-impersonated:storage:read@b1,b2/logs/* 5m
jq -e '.access_token | startswith("ya29.b-")' "$work/minted.json" >/dev/null || fail "the boundary"
ok "gcp: exchanged; impersonated with a life; held to buckets"
anchor="--trust-anchor arn:aws:rolesanywhere:eu-west-1:1:trust-anchor/a --profile arn:aws:rolesanywhere:eu-west-1:1:profile/p"
for alg in rs256 es256; do
  # shellcheck disable=SC2086 # two options
  added "any-$alg" session aws --via roles-anywhere --region eu-west-1 --alg "$alg" $anchor \
    --role arn:aws:iam::123456789012:role/agents --base-url "$url" --allow-private
  minted "any-$alg:session" 15m
  jq -e '.parts.access_key_id and .parts.secret_access_key' "$work/minted.json" >/dev/null || fail "the parts"
  ok "roles anywhere: signed $alg, verified by the documented algorithm"
done
added azure graph entra --tenant tenant-1 --client-id app-1 --scope graph=https://graph.example --base-url "$url" --allow-private
minted azure:graph 15m
ok "entra: an assertion that names the certificate, verified by it"
added bao reader,writer vault --base-url "$url" --login-role hallpass --allow-private
minted bao:reader 5m
jq -e '.revocable and .expires_in <= 300' "$work/minted.json" >/dev/null || fail "what bao gave"
hallpass lease revoke "$(jq -r .lease "$work/minted.json")" >/dev/null || fail "lease revoke"
wait_for "the revocation" grep -q revoked "$work/idp.log"
added db secret vault --base-url "$url" --login-role hallpass --secret database/creds/readonly --env PGPASSWORD \
  --env PGUSER=username --allow-private
hallpass exec --no-project --as bot --grant db:secret -- sh -c 'test "$PGUSER" = v-bot && test -n "$PGPASSWORD"' || fail "exec"
revoked_twice() { [ "$(grep -c revoked "$work/idp.log")" = 2 ]; }
wait_for "the second revocation" revoked_twice
ok "vault: a token with one policy; a dynamic secret in two variables; both over with their lease"

# The SDKs exchange by themselves: they get an assertion and nothing else.
added claude-id assert assertion --audience https://api.anthropic.com
added oai-id assert assertion --audience https://api.openai.com/v1
added gcp-id assert assertion --audience "https:$provider"
file=$(hallpass render add claude-id claude-id:assert --as bot --ttl 10m) || fail "render add"
env -u ANTHROPIC_API_KEY -u ANTHROPIC_AUTH_TOKEN ANTHROPIC_IDENTITY_TOKEN_FILE="$file" ANTHROPIC_FEDERATION_RULE_ID=fdrl_1 \
  ANTHROPIC_ORGANIZATION_ID=00000000-0000-4000-8000-000000000001 \
  timeout 60 "$python" "$here/issuers_sdk.py" anthropic "$url" "$file" || { cat "$work/idp.log" >&2; fail "anthropic's SDK"; }
ok "anthropic's SDK: exchanged the rendered assertion by itself, and called"
file=$(hallpass render add oai-id oai-id:assert --as bot --ttl 10m) || fail "render add"
timeout 60 "$python" "$here/issuers_sdk.py" openai "$url" "$file" || { cat "$work/idp.log" >&2; fail "openai's SDK"; }
ok "openai's SDK: exchanged the rendered assertion by itself, and called"
file=$(hallpass render add gcp-id gcp-id:assert --as bot --ttl 10m) || fail "render add"
timeout 60 "$tools" "$here/issuers_sdk.py" gcp-file "$url" "$file" || { cat "$work/idp.log" >&2; fail "google-auth by file"; }
ok "google-auth: external account by file, impersonated, called"
hallpass helper add gcp "audience:$provider" gcp-id:assert >/dev/null || fail "helper add gcp"
timeout 60 "$tools" "$here/issuers_sdk.py" gcp-executable "$url" "$HALLPASS helper gcp --as bot" ||
  { cat "$work/idp.log" >&2; fail "google-auth by executable"; }
ok "google-auth: external account by executable, impersonated, called"

# New keys sign at once, and the old ones are believed until they leave the set.
hallpass identity rotate --overlap 1h >/dev/null || fail "identity rotate"
if hallpass mint oai:api --as bot --ttl 7m >"$work/out" 2>&1; then fail "a key that nobody knows was believed"; fi
hallpass identity jwks >"$work/jwks.json"
minted oai:api 6m
ok "rotated: refused with keys that were not uploaded, taken once they were"
# No private key lies anywhere but in the store.
! grep -rlE 'BEGIN (EC |RSA )?PRIVATE KEY|"private"' "$HALLPASS_HOME" "$work/daemon.log" || fail "a private key lies about"
ok "no private key outside of the store"
