#!/bin/sh
# AWS: roles assumed by our own Signature Version 4 at moto, which verifies it and enforces the role's policy; boto3 and the AWS
# command line by credential_process and by the container endpoint. moto applies no session policy: that it says exactly what was
# asked is a unit test.
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python tools >/dev/null
python=$cache/tools/bin/python

peers_daemon
you=$(jq -r 'if (.you.kind == "unknown" or .you.kind == "human") then empty else .you.principal end' "$work/status.json")
hallpass principal add bot --kind agent >/dev/null || fail "principal add"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# The five requests that set it up are the only ones whose signature nobody looks at.
INITIAL_NO_AUTH_ACTION_COUNT=5 "$cache/tools/bin/moto_server" -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
pids="$pids $!"
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE="$work/none" \
  AWS_SHARED_CREDENTIALS_FILE=/dev/null
wait_for moto python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"
AWS_ACCESS_KEY_ID=setup AWS_SECRET_ACCESS_KEY=setup "$python" "$here/issuers_aws.py" setup >"$work/key" || fail "moto's user"
paste -sd: "$work/key" | tr -d '\n' | hallpass credential add aws-key >/dev/null || fail "credential add"
role=arn:aws:iam::123456789012:role/agents
want='aws:s3:ListAllMyBuckets,s3:ListBuckets,sts:GetCallerIdentity'
hallpass issuer add aws aws --credential aws-key --region us-east-1 --role "$role" --base-url "$AWS_ENDPOINT_URL" \
  --allow-private >/dev/null || fail "issuer add"
for who in bot $you; do hallpass grant add "$who" "$want" --ttl 1h >/dev/null || fail "grant add"; done
hallpass mint "$want" --as bot --json >"$work/minted.json" || { tail -n 5 "$work/moto.log" >&2; fail "mint"; }
jq -e '.parts.access_key_id and (.revocable | not) and .upstream_expires_at == null' "$work/minted.json" >/dev/null || fail "what came"
ok "AssumeRole: moto took our signature; a session of 15 minutes"
printf 'AKIAWRONG:%s' "$(sed -n 2p "$work/key")" | hallpass credential add wrong >/dev/null
hallpass issuer add aws wrong --region us-east-1 --role "$role" --base-url "$AWS_ENDPOINT_URL" --allow-private >/dev/null
hallpass grant add bot 'wrong:s3:*' >/dev/null
if hallpass mint 'wrong:s3:*' --as bot >"$work/out" 2>"$work/err"; then fail "a wrong key assumed a role"; fi
grep -q 'does not accept the credential' "$work/err" || fail "what a wrong key is told: $(cat "$work/err")"
printf '%s:%s' "$(sed -n 1p "$work/key")" "$mark" | hallpass credential rotate wrong >/dev/null
if hallpass mint 'wrong:s3:*' --as bot >"$work/out" 2>"$work/err"; then fail "a wrong secret assumed a role"; fi
grep -q SignatureDoesNotMatch "$work/err" || fail "what a wrong secret is told: $(cat "$work/err")"
ok "a wrong key and a wrong secret are named"
hallpass issuer add aws same --via session-token --credential aws-key --region us-east-1 --base-url "$AWS_ENDPOINT_URL" \
  --allow-private >/dev/null || fail "issuer add same"
hallpass issuer test same:session >/dev/null || fail "GetSessionToken"
ok "GetSessionToken"

hallpass helper add aws profile:agents "$want" >/dev/null || fail "helper add"
printf '[default]\ncredential_process = %s helper aws --as bot --profile agents\n' "$HALLPASS" >"$work/config"
who=${you:-bot}
AWS_CONFIG_FILE="$work/config" "$python" "$here/issuers_aws.py" call custom-process "$who" >"$work/out" 2>&1 ||
  { cat "$work/out" >&2; fail "boto3 by credential_process"; }
AWS_CONFIG_FILE="$work/config" "$cache/tools/bin/aws" sts get-caller-identity >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "aws"; }
grep -q "assumed-role/agents/$who" "$work/out" || fail "aws is somebody else: $(cat "$work/out")"
ok "boto3 and aws by credential_process: the role, which lists and may not create"
timeout 120 "$HALLPASS" exec --no-project --as bot --helper aws:agents -- \
  "$python" "$here/issuers_aws.py" call container-role "$who" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "boto3 by the endpoint"; }
grep -q -- "-task_" "$work/out" || fail "the session does not name the task: $(cat "$work/out")"
ok "boto3 by the container endpoint: the role, under the task's name"
timeout 120 "$HALLPASS" exec --no-project --as bot --grant "$want" -- \
  "$python" "$here/issuers_aws.py" call env "$who" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "boto3 by variables"; }
ok "boto3 by the variables of exec"
if grep -rqF -- "$(sed -n 2p "$work/key")" "$HALLPASS_HOME" "$work/daemon.log"; then fail "the access key lies about"; fi
ok "no access key outside of the store"
