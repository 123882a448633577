#!/bin/sh
# Helpers that are asked over HTTP, by the real SDKs: boto3 and the AWS command line against moto, which checks
# signatures, and azure-identity. With the variables of `exec`, and with a token file that the daemon keeps fresh.
#
#   HALLPASS=target/release/hallpass tests/peers/cloud_endpoints.sh
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python tools
python=$cache/tools/bin/python

peers_daemon
hallpass principal add peer-test --kind agent >/dev/null || fail "principal add"
# Under an assistant, --as does not count: then the assistant itself is given the same.
you=$(jq -r 'if (.you.kind == "unknown" or .you.kind == "human") then empty else .you.principal end' "$work/status.json")

# The three requests that set it up are the only ones whose signature nobody looks at.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
INITIAL_NO_AUTH_ACTION_COUNT=3 "$cache/tools/bin/moto_server" -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
pids="$pids $!"
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE="$work/no-such-file"
wait_for moto python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"
AWS_ACCESS_KEY_ID=setup AWS_SECRET_ACCESS_KEY=setup "$python" "$here/cloud_aws.py" setup >"$work/key" || fail "moto's user"
key_id=$(sed -n 1p "$work/key")
sed -n 2p "$work/key" | tr -d '\n' | hallpass credential add aws-work >/dev/null || fail "credential add aws-work"
hallpass helper add aws profile:work aws-work:release --username "$key_id" >/dev/null || fail "helper add aws"
arm="arm-$mark$(random_hex 20)"
printf %s "$arm" | hallpass credential add arm >/dev/null || fail "credential add arm"
hallpass helper add azure resource:https://management.azure.com/ arm:release >/dev/null || fail "helper add azure"
for who in peer-test $you; do
  hallpass grant add "$who" aws-work:release arm:release >/dev/null || fail "grant add $who"
done
# A key in a shared file would win, and a wrong one in the environment too: exec takes care of both.
mkdir "$work/aws"
printf '[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n' >"$work/aws/credentials"
export AWS_SHARED_CREDENTIALS_FILE="$work/aws/credentials" AWS_ACCESS_KEY_ID=wrong AWS_SECRET_ACCESS_KEY=wrong

# run NAME HELPER COMMAND...
run() {
  name=$1 helper=$2
  shift 2
  timeout 120 "$HALLPASS" exec --no-project --as peer-test --helper "$helper" -- "$@" >"$work/out" 2>&1 ||
    { cat "$work/out" >&2; fail "$name"; }
  ok "$name"
}

run "boto3, AWS_CONTAINER_AUTHORIZATION_TOKEN" aws:work "$python" "$here/cloud_aws.py" call
run "aws sts get-caller-identity" aws:work "$cache/tools/bin/aws" sts get-caller-identity
grep -q "user/peer" "$work/out" || fail "aws is somebody else: $(cat "$work/out")"
run "azure-identity, ManagedIdentityCredential" azure:https://management.azure.com/ \
  env PEERS_EXPECTED="$arm" "$python" "$here/cloud_azure.py"

file=$(hallpass render add aws-token --helper aws:work --as peer-test --ttl 12s) || fail "render add"
# No variables of exec: only what a person would write into a tool's settings.
env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_SHARED_CREDENTIALS_FILE=/dev/null \
  AWS_CONTAINER_CREDENTIALS_FULL_URI="$gateway/_helper/aws/work" AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$file" \
  timeout 120 "$python" "$here/cloud_aws.py" rotate >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "the token file"; }
ok "boto3, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, through a renewal"

hallpass render remove aws-token >/dev/null || fail "render remove"
[ ! -e "$file" ] || fail "the file is still there"
# Each use is on record as static, and none with the key.
hallpass --json audit query --principal peer-test >"$work/audit" 2>/dev/null || true
for who in $you; do hallpass --json audit query --principal "$who" >>"$work/audit"; done
grep -q '"credential.release"' "$work/audit" || fail "no release is on record"
if grep -q -e "$mark" -e "$(sed -n 2p "$work/key")" "$work/audit" "$work/daemon.log"; then fail "a credential is in a log"; fi
ok "audit: released, static, without the key"
