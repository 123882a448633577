#!/bin/sh
# Native tokens by a real authorization server (npm oidc-provider): client credentials by secret and by key, the resource
# indicator in the token's audience, revocation with the lease, proved by the server's own introspection.
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python node apt >/dev/null

peers_daemon
printf 'p%s' "$mark$(random_hex 20)" >"$work/keys/client"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/keys/ec.pem" 2>/dev/null
# The public half as a JWK (RFC 7517): the last 64 bytes of the key are its two coordinates.
openssl pkey -in "$work/keys/ec.pem" -pubout -outform DER 2>/dev/null | python3 -c '
import base64, json, sys
point = sys.stdin.buffer.read()[-64:]
text = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=").decode()
json.dump({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": text(point[:32]), "y": text(point[32:])}, sys.stdout)
' >"$work/keys/ec.jwk"
node "$here/issuers_oidc.mjs" "$work/oidc.port" "$work/keys/client" "$work/keys/ec.jwk" >"$work/oidc.log" 2>&1 &
pids="$pids $!"
wait_for "oidc-provider" test -s "$work/oidc.port"
server="http://127.0.0.1:$(cat "$work/oidc.port")"

# introspect TOKEN: what the server itself says of it.
introspect() {
  curl -sS -u "by-basic:$(cat "$work/keys/client")" --data-urlencode "token=$1" "$server/token/introspection"
}
is_over() {
  introspect "$1" | jq -e '.active == false'
}

hallpass principal add bot --kind agent >/dev/null
for how in client_secret_basic client_secret_post private_key_jwt; do
  case $how in
    client_secret_basic) name=by-basic key=client ;;
    client_secret_post) name=by-post key=client ;;
    private_key_jwt) name=by-key key=ec.pem ;;
  esac
  hallpass credential add "$name" <"$work/keys/$key" >/dev/null
  hallpass issuer add oauth "$name" --token-url "$server/token" --revocation-url "$server/token/revocation" \
    --client-id "$name" --auth "$how" --audience "$server" --kid k1 --allow-private --env NOTES_TOKEN \
    --resource 'https://api.acme.dev/{resource}' >/dev/null || fail "issuer add $name"
  hallpass grant add bot "$name:notes:read@web" --ttl 5m >/dev/null
  hallpass mint "$name:notes:read@web" --as bot --json >"$work/minted.json" || fail "mint by $how"
  token=$(jq -r .access_token "$work/minted.json")
  introspect "$token" >"$work/said.json"
  jq -e '.active and .scope == "notes:read" and .aud == "https://api.acme.dev/web"' "$work/said.json" >/dev/null ||
    fail "$how: the server says of the token: $(cat "$work/said.json")"
  jq -e '.revocable and .upstream_expires_at != null' "$work/minted.json" >/dev/null || fail "$how: what mint said of its end"
  hallpass lease revoke "$(jq -r .lease "$work/minted.json")" >/dev/null
  wait_for "the revocation at the server" is_over "$token"
  ok "$how: minted for one scope and one resource, and revoked with its lease"
done

# A scope that the server does not know this client for is dropped or refused; neither becomes a token.
hallpass grant add bot by-basic:notes:admin@web >/dev/null
if hallpass mint by-basic:notes:admin@web --as bot >"$work/out" 2>"$work/err"; then
  fail "a scope that the client has not was minted"
fi
[ ! -s "$work/out" ] || fail "something came out"
grep -q . "$work/err"
ok "a scope that the client has not: $(head -n 1 "$work/err")"

# A client's secret that was rotated at the server.
printf 'wrong' | hallpass credential rotate by-post >/dev/null
if hallpass mint by-post:notes:read@web --as bot >"$work/out" 2>"$work/err"; then
  fail "a wrong secret minted"
fi
grep -q invalid_client "$work/err" || fail "what a wrong secret is told: $(cat "$work/err")"
ok "a secret that is not the server's any more is named"

# exec: the token is in the command's environment, and works no more when it has ended.
token=$(hallpass exec --as bot --grant by-key:notes:read@web -- printenv NOTES_TOKEN)
wait_for "the revocation after exec" is_over "$token"
ok "exec: the token is over when the command is"

has_line() {
  [ "$(wc -l <"$1")" -gt 0 ]
}
# login NAME [FLAG...]: a person signs in; the browser says yes to everything.
login() {
  hallpass issuer login "$@" --no-open --json >"$work/login.json" 2>"$work/login.err" &
  signing=$!
  wait_for "the address to sign in at" has_line "$work/login.err"
  node "$here/issuers_browser.mjs" "$(sed -n 's/^open //p' "$work/login.err")" >"$work/browser.out" ||
    fail "the browser: $(cat "$work/browser.out")"
  wait "$signing" || fail "issuer login: $(cat "$work/login.err" "$work/browser.out")"
}
hallpass issuer add oauth app --issuer "$server" --client-id app --login --login-scope offline_access \
  --scope notes:read=notes:read --scope notes:write=notes:write --resource https://api.acme.dev/web \
  --env NOTES_TOKEN --allow-private >/dev/null || fail "issuer add app"
hallpass grant add bot app:notes:read,notes:write --ttl 5m >/dev/null
if hallpass mint app:notes:read --as bot >"$work/out" 2>"$work/err"; then fail "minted before anybody signed in"; fi
grep -q 'hallpass issuer login app' "$work/err" || fail "what to do is not said: $(cat "$work/err")"
for way in browser device; do
  login app "--$way"
  jq -e '.renews and (.scopes | index("notes:read"))' "$work/login.json" >/dev/null || fail "login: $(cat "$work/login.json")"
  hallpass mint app:notes:read --as bot --json >"$work/minted.json" || fail "mint after login by $way"
  token=$(jq -r .access_token "$work/minted.json")
  introspect "$token" >"$work/said.json"
  jq -e '.active and .scope == "notes:read" and .aud == "https://api.acme.dev/web" and .sub == "me"' "$work/said.json" >/dev/null ||
    fail "$way: the server says of the token: $(cat "$work/said.json")"
  # This server ends the whole login with one of its tokens, as RFC 7009 lets it: so tokens of a login are not revoked one by
  # one unless the config says that the server leaves the login alone.
  jq -e '.revocable == false' "$work/minted.json" >/dev/null || fail "$way: what mint said of its end"
  hallpass lease revoke "$(jq -r .lease "$work/minted.json")" >/dev/null
  hallpass mint app:notes:write --as bot >/dev/null || fail "the end of a lease ended the login"
  ok "login by $way: a token for less than was agreed to, and for one resource"
done

# Ten at once: each refresh token is used once, and nobody is logged out (this server ends a login whose old one comes again).
for each in 1 2 3 4 5 6 7 8 9 10; do
  hallpass mint app:notes:write --as bot --json >"$work/ten.$each" 2>"$work/ten.$each.err" &
  eval "ten_$each=$!"
done
for each in 1 2 3 4 5 6 7 8 9 10; do
  eval "wait \$ten_$each" || fail "one of ten: $(cat "$work/ten.$each.err")"
  introspect "$(jq -r .access_token "$work/ten.$each")" | jq -e '.active and .scope == "notes:write"' >/dev/null || fail "one of ten is dead"
done
[ "$(cat "$work"/ten.? "$work"/ten.10 | jq -r .access_token | sort -u | wc -l)" = 10 ] || fail "ten tokens are not ten"
hallpass mint app:notes:read --as bot >/dev/null || fail "logged out by ten at once"
ok "ten clients at once refresh one after the other, and none is logged out"

hallpass issuer logout app --json | jq -e .revoked >/dev/null || fail "logout did not reach the server"
introspect "$(jq -r .access_token "$work/ten.3")" | jq -e '.active == false' >/dev/null || fail "a token outlives the login"
if hallpass mint app:notes:read --as bot >"$work/out" 2>"$work/err"; then fail "minted after signing out"; fi
grep -q 'hallpass issuer login app' "$work/err" || fail "what to do is not said: $(cat "$work/err")"
ok "signing out ends the login and its tokens at the server"

# A token in exchange for another (RFC 8693): this server's grant gives no more than the first one had. Its endpoints are read
# from its metadata here, so that the revocation is proved by introspection before hallpass believes it.
hallpass credential add swap <"$work/keys/client" >/dev/null
hallpass issuer add oauth swap --issuer "$server" --client-id by-exchange --exchange --resource 'https://api.acme.dev/{resource}' \
  --allow-private >/dev/null || fail "issuer add swap"
hallpass grant add bot swap:notes:read@web --ttl 5m >/dev/null
hallpass mint swap:notes:read@web --as bot --json >"$work/minted.json" || fail "mint by exchange"
token=$(jq -r .access_token "$work/minted.json") lease=$(jq -r .lease "$work/minted.json")
hallpass issuer inspect "$lease" --json >"$work/said.json" || fail "issuer inspect"
jq -e '.active and .scope == "notes:read" and .audience == ["https://api.acme.dev/web"]' "$work/said.json" >/dev/null ||
  fail "exchange: the server says of the token: $(cat "$work/said.json")"
hallpass lease revoke "$lease" >/dev/null
wait_for "the revocation at the server" is_over "$token"
ok "token exchange: the second token is for one scope and one resource; issuer inspect says so, and it is over with its lease"

# Bound to a key (RFC 9449): the server wants its nonce in the proof, binds the token, and what hallpass signs with that key is
# what a server would take.
hallpass credential add bound <"$work/keys/client" >/dev/null
hallpass issuer add oauth bound --issuer "$server" --client-id by-dpop --dpop --resource 'https://api.acme.dev/{resource}' \
  --allow-private >/dev/null || fail "issuer add bound"
hallpass grant add bot bound:notes:read@web --ttl 5m >/dev/null
hallpass mint bound:notes:read@web --as bot --json >"$work/minted.json" || fail "mint with DPoP"
token=$(jq -r .access_token "$work/minted.json") lease=$(jq -r .lease "$work/minted.json")
[ "$(jq -r .token_type "$work/minted.json")" = DPoP ] || fail "a bound token is called a bearer token"
bound=$(introspect "$token" | jq -r .cnf.jkt)
proof=$(hallpass lease prove "$lease" --method POST --url 'https://api.acme.dev/web/notes?x=1') || fail "lease prove"
node "$here/issuers_dpop.mjs" "$proof" "$token" "$bound" POST https://api.acme.dev/web/notes || fail "the proof does not hold"
[ "$proof" != "$(hallpass lease prove "$lease" --method POST --url 'https://api.acme.dev/web/notes?x=1')" ] || fail "a proof came twice"
hallpass lease revoke "$lease" >/dev/null
wait_for "the revocation at the server" is_over "$token"
if hallpass lease prove "$lease" --url https://api.acme.dev/web >/dev/null 2>&1; then fail "proved after the end"; fi
ok "DPoP: bound to a key that stays here, with the server's nonce; its proofs hold, and end with the lease"

# Registered by the server itself (RFC 7591), under this server's name.
hallpass issuer add oauth self --issuer "$server" --login --login-scope offline_access --scope notes:read=notes:read \
  --resource https://api.acme.dev/web --allow-private >/dev/null || fail "issuer add self"
hallpass grant add bot self:notes:read >/dev/null
login self --browser
hallpass mint self:notes:read --as bot >/dev/null || fail "mint by a client that was registered"
ok "a client that the server registered by itself signs in"

# Neither the client's secret nor its key is anywhere but in the store.
for secret in "$(cat "$work/keys/client")" "$(sed -n 2p "$work/keys/ec.pem")"; do
  if grep -rqF -- "$secret" "$HALLPASS_HOME" "$work/daemon.log"; then
    fail "a client's credential lies in the home or the log"
  fi
done
ok "no client's credential outside of the store"
