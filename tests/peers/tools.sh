#!/bin/sh
# Developer tools whose keys were adopted: each still works against a strict server on loopback, by its own helper; its
# files and its environment hold no key; afterwards each file is put back byte for byte.
#
#   HALLPASS=target/release/hallpass tests/peers/tools.sh [git docker aws kubectl cargo python npm pnpm twine terraform
#                                                          gitlab google helm bundler]
. "$(dirname "$0")/lib.sh"
"$here/install.sh" python tools pnpm helm
tools=${*:-git docker aws kubectl cargo python npm pnpm twine terraform gitlab google helm bundler}
venv=$cache/tools
unset GIT_CONFIG_GLOBAL GIT_ASKPASS SSH_ASKPASS DOCKER_CONFIG KUBECONFIG CARGO_HOME AWS_PROFILE AWS_ACCESS_KEY_ID \
  AWS_SECRET_ACCESS_KEY AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE NETRC TWINE_PASSWORD TWINE_USERNAME TF_CLI_CONFIG_FILE NPM_CONFIG_USERCONFIG PIP_INDEX_URL UV_INDEX_URL GITHUB_TOKEN || true
# What this machine trusts is for the registries, which are not spoken to from here on.
unset GIT_SSL_CAINFO SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE AWS_CA_BUNDLE CARGO_HTTP_CAINFO PIP_CERT \
  NODE_EXTRA_CA_CERTS || true
real_home=$HOME
rustup=${RUSTUP_HOME:-$real_home/.rustup}
peers_daemon --plain
mkdir -p "$work/before" "$work/ports" "$work/srv" "$HOME/.local/bin"
PATH=$HOME/.local/bin:$PATH
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 AWS_EC2_METADATA_DISABLED=true
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE \
  -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null || fail "openssl made no certificate"
secret() { printf '%s%s' "$mark" "$(random_hex 6 | tr 0-9 G-P)$(random_hex 6)"; }
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=jo -addext extendedKeyUsage=clientAuth \
  -keyout "$work/client.key" -out "$work/client.crt" 2>/dev/null || fail "openssl made no certificate"
base64 -w0 <"$work/client.key" >"$work/keys/kubecert"
for name in git git2 gitb docker identity cargo index index2 npm pnpm twine terraform gitlab sts helm bundler; do secret >"$work/keys/$name"; done
# A service account's token, as kubernetes signs them; nobody checks this signature.
part() { printf %s "$1" | base64 -w0 | tr '/+' '_-' | tr -d =; }
printf '%s.%s.%s' "$(part "{\"alg\":\"RS256\",\"kid\":\"$(random_hex 20)\"}")" \
  "$(part "{\"iss\":\"kubernetes/serviceaccount\",\"sub\":\"system:serviceaccount:a:$mark\",\"exp\":1999999999}")" \
  "$(head -c 96 /dev/urandom | base64 -w0 | tr '/+' '_-')" >"$work/keys/kubectl"
: >"$work/tools.record"
"$venv/bin/python" "$here/tools_server.py" "$work" 2>"$work/server.log" &
pids="$pids $!"
for name in git git2 gitb docker identity cargo kubectl kubecert index index2 npm pnpm twine terraform gitlab sts helm bundler; do wait_for "the server for $name" test -s "$work/ports/$name"; done
at() { echo "127.0.0.1:$(cat "$work/ports/$1")"; }

# adopt TOOL NAME FILE...: keeps copies, adopts, looks for keys that are left, and asks each helper.
adopt() {
  tool=$1 name=$2
  shift 2
  for file in "$@"; do [ ! -e "$file" ] || cp -p "$file" "$work/before/$(echo "$file" | tr / +)"; done
  hallpass adopt "$tool" --yes >"$work/out" 2>&1 || fail "$tool: adopt: $(cat "$work/out")"
  for file in "$@"; do
    ! grep -qF "$(cat "$work/keys/$name")" "$file" || fail "$tool: $file still has a key: $(cat "$work/out")"
  done
  ! env | grep -qF "$(cat "$work/keys/$name")" || fail "$tool: the key is in the environment"
  hallpass adopt --check "$tool" >"$work/out" 2>&1 || fail "$tool: --check: $(cat "$work/out")"
  grep -q "$tool" "$work/out" || fail "$tool: nothing was adopted: $(cat "$work/out")"
  : >"$work/tools.record"
}

# undo TOOL FILE...: every file is as it was, or as little there.
undo() {
  tool=$1
  shift
  hallpass adopt --undo "$tool" --yes >"$work/out" 2>&1 || fail "$tool: --undo: $(cat "$work/out")"
  for file in "$@"; do
    old="$work/before/$(echo "$file" | tr / +)"
    if [ -e "$old" ]; then cmp -s "$file" "$old" || fail "$tool: $file is not as it was"; else
      [ ! -e "$file" ] || fail "$tool: $file was not there before"
    fi
  done
  ok "$tool: undone, byte for byte"
}

# works NAME WHAT COMMAND...: it does, and its server saw the real key.
works() {
  service=$1 what=$2
  shift 2
  timeout 120 "$@" >"$work/out" 2>"$work/err" </dev/null || fail "$what: exit code $?: $(tail -c 4000 "$work/out" "$work/err")"
  jq -es --arg s "$service" 'map(select(.service == $s and .key_ok)) | length > 0' "$work/tools.record" >/dev/null ||
    fail "$what: the server saw $(cat "$work/tools.record")"
  bad=$(jq -c --arg s "$service" 'select(.service == $s and .sent and (.key_ok | not))' "$work/tools.record")
  [ -z "$bad" ] || fail "$what: the server refused $bad"
  : >"$work/tools.record"
  ok "$what"
}

git_part() {
  git init -q -b main --bare "$work/srv/acme/web.git"
  git -C "$work/srv/acme/web.git" config http.receivepack true
  printf '[user]\n\tname = Jo\n\temail = jo@example.org\n[credential]\n\thelper = store\n[http]\n\tsslCAInfo = %s\n' \
    "$work/tls.crt" >"$HOME/.gitconfig"
  # Two that are adopted, and one in between that stays: nothing says of it that it is a key.
  git init -q -b main --bare "$work/srv/acme/other.git"
  {
    printf 'https://jo:%s@%s\n' "$(cat "$work/keys/git")" "$(at git)"
    printf 'https://jo@stays.example\n'
    printf 'https://jo:%s@%s\n' "$(cat "$work/keys/git2")" "$(at git2)"
  } >"$HOME/.git-credentials"
  adopt git git "$HOME/.git-credentials" "$HOME/.gitconfig"
  [ "$(cat "$HOME/.git-credentials")" = "https://jo@stays.example" ] || fail "git: other lines: $(cat "$HOME/.git-credentials")"
  works git2 "git ls-remote, of the second host" git ls-remote "https://$(at git2)/acme/other.git"
  works git "git clone" git clone -q "https://$(at git)/acme/web.git" "$work/web"
  git -C "$work/web" commit -q --allow-empty -m one
  works git "git push" git -C "$work/web" push -q origin HEAD:main
  works git "git fetch" git -C "$work/web" fetch -q
  ! grep -rqF "$(cat "$work/keys/git")" "$work/web/.git" "$HOME/.git-credentials" || fail "git: the key is in a file again"
  undo git "$HOME/.git-credentials" "$HOME/.gitconfig"
  cd "$work/web"
  git remote set-url origin "https://jo:$(cat "$work/keys/git")@$(at git)/acme/web.git"
  adopt git git "$work/web/.git/config"
  works git "git push, the key having been in the remote's URL" git push -q origin HEAD:other
  undo git "$work/web/.git/config"
  cd "$work"
  printf '[http]\n\tsslCAInfo = %s\n[http "https://%s/"]\n\textraHeader = "Authorization: Bearer %s"\n' \
    "$work/tls.crt" "$(at gitb)" "$(cat "$work/keys/gitb")" >"$HOME/.gitconfig"
  adopt git gitb "$HOME/.gitconfig"
  works gitb "git ls-remote, the key having been in http.extraHeader" git ls-remote "https://$(at gitb)/acme/web.git"
  undo git "$HOME/.gitconfig"
}

# registry TOKEN-SERVER: sets $port.
registry() {
  port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat >"$work/registry.yml" <<Y
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port", tls: {certificate: $work/tls.crt, key: $work/tls.key}}
auth: {token: {realm: "https://$(at "$1")/token", service: registry, issuer: peers, rootcertbundle: $work/tls.crt}}
Y
  docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
  pids="$pids $!"
  wait_for "docker-registry" curl -sk "https://127.0.0.1:$port/v2/"
}

docker_part() {
  config="$HOME/.docker/config.json"
  mkdir -p "$HOME/.docker" "$work/registry"
  registry docker
  printf '{\n\t"auths": {\n\t\t"127.0.0.1:%s": {\n\t\t\t"auth": "%s"\n\t\t}\n\t}\n}\n' "$port" \
    "$(printf 'jo:%s' "$(cat "$work/keys/docker")" | base64 -w0)" >"$config"
  adopt docker docker "$config"
  ! grep -q '"auth"' "$config" || fail "docker: $config still has a key"
  mkdir "$work/image"
  "$python" - "$work/image" <<'P'
import hashlib, json, sys
folder, blobs = sys.argv[1], {}
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{folder}/{digest}", "wb").write(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}
config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}).encode())
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": [],
            "config": dict(config, mediaType="application/vnd.docker.container.image.v1+json")}
open(f"{folder}/manifest.json", "w").write(json.dumps(manifest))
open(f"{folder}/version", "w").write("Directory Transport Version: 1.1\n")
P
  image="127.0.0.1:$port/acme/web:latest"
  works docker "skopeo copy: a push" skopeo --insecure-policy copy --dest-tls-verify=false --dest-authfile "$config" "dir:$work/image" "docker://$image"
  works docker "skopeo copy: a pull" skopeo --insecure-policy copy --src-tls-verify=false --src-authfile "$config" "docker://$image" "dir:$work/pulled"
  if command -v docker >/dev/null; then
    works docker "docker manifest inspect" env DOCKER_HOST=unix:///nonexistent docker manifest inspect --insecure "$image"
  fi
  undo docker "$config"
  # A refresh token, as a registry's own sign-in leaves it.
  registry identity
  printf '{\n\t"auths": {\n\t\t"127.0.0.1:%s": {\n\t\t\t"auth": "PHRva2VuPjo=",\n\t\t\t"identitytoken": "%s"\n\t\t}\n\t}\n}\n' "$port" \
    "$(cat "$work/keys/identity")" >"$config"
  adopt docker identity "$config"
  image="127.0.0.1:$port/acme/web:latest"
  works identity "skopeo inspect, with an identity token" skopeo inspect --tls-verify=false --authfile "$config" "docker://$image"
  if command -v docker >/dev/null; then
    works identity "docker manifest inspect, with an identity token" env DOCKER_HOST=unix:///nonexistent docker manifest inspect --insecure "$image"
  fi
  undo docker "$config"
}

aws_part() {
  port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  INITIAL_NO_AUTH_ACTION_COUNT=3 "$venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
  pids="$pids $!"
  wait_for "moto" curl -s "http://127.0.0.1:$port/moto-api/"
  mkdir -p "$HOME/.aws"
  # moto makes the key, and checks each signature with it afterwards.
  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x "$venv/bin/python" - "http://127.0.0.1:$port" "$HOME/.aws/credentials" "$work/keys/aws" <<'P'
import boto3, json, sys
iam = boto3.client("iam", endpoint_url=sys.argv[1], region_name="us-east-1")
iam.create_user(UserName="jo")
allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.put_user_policy(UserName="jo", PolicyName="all", PolicyDocument=json.dumps(allow))
key = iam.create_access_key(UserName="jo")["AccessKey"]
open(sys.argv[2], "w").write(f"[work]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n")
open(sys.argv[3], "w").write(key["SecretAccessKey"])
P
  printf '[profile work]\nregion = us-east-1\n# mine\n' >"$HOME/.aws/config"
  adopt aws aws "$HOME/.aws/credentials" "$HOME/.aws/config"
  # works() has no record here: moto itself refuses what is not signed with the key.
  for client in "aws CLI" boto3; do
    case $client in
      boto3) set -- "$venv/bin/python" -c 'import boto3, sys
print(boto3.Session(profile_name="work").client("sts", endpoint_url=sys.argv[1]).get_caller_identity()["Arn"])' "http://127.0.0.1:$port" ;;
      *) set -- "$venv/bin/aws" --profile work --endpoint-url "http://127.0.0.1:$port" sts get-caller-identity ;;
    esac
    timeout 60 "$@" >"$work/out" 2>&1 || fail "$client: $(tail -c 800 "$work/out")"
    grep -q user/jo "$work/out" || fail "$client: it is somebody else: $(cat "$work/out")"
    ok "$client"
  done
  if AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x "$venv/bin/aws" --region us-east-1 --endpoint-url "http://127.0.0.1:$port" \
    sts get-caller-identity >/dev/null 2>&1; then fail "moto takes any key"; fi
  undo aws "$HOME/.aws/credentials" "$HOME/.aws/config"
}

kubectl_part() {
  command -v kubectl >/dev/null || { ok "kubectl: skipped, it is not installed"; return 0; }
  mkdir -p "$HOME/.kube"
  cat >"$HOME/.kube/config" <<Y
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: dev
  cluster:
    server: https://$(at kubectl)
    certificate-authority: $work/tls.crt
contexts:
- name: dev
  context: {cluster: dev, user: jo}
users:
# mine
- name: jo
  user:
    token: $(cat "$work/keys/kubectl")
Y
  chmod 600 "$HOME/.kube/config"
  adopt kubectl kubectl "$HOME/.kube/config"
  works kubectl "kubectl get --raw /version" kubectl get --raw /version
  undo kubectl "$HOME/.kube/config"
  sed -i "s#https://$(at kubectl)#https://$(at kubecert)#; /^    token:/d" "$HOME/.kube/config"
  printf '    client-certificate-data: %s\n    client-key-data: %s\n' "$(base64 -w0 <"$work/client.crt")" \
    "$(cat "$work/keys/kubecert")" >>"$HOME/.kube/config"
  adopt kubectl kubecert "$HOME/.kube/config"
  works kubecert "kubectl get --raw /version, with a client's certificate" kubectl get --raw /version
  undo kubectl "$HOME/.kube/config"
}

cargo_part() {
  export CARGO_HOME="$HOME/.cargo" RUSTUP_HOME="$rustup"
  mkdir -p "$CARGO_HOME" "$work/sample/src" "$work/user_of/src"
  printf '[registries.work]\nindex = "sparse+https://%s/"\n\n[http]\ncainfo = "%s"\n' "$(at cargo)" "$work/tls.crt" >"$CARGO_HOME/config.toml"
  printf '[registries.work]\ntoken = "%s"\n' "$(cat "$work/keys/cargo")" >"$CARGO_HOME/credentials.toml"
  adopt cargo cargo "$CARGO_HOME/credentials.toml" "$CARGO_HOME/config.toml"
  printf '[package]\nname = "sample"\nversion = "1.0.0"\nedition = "2021"\nlicense = "MIT"\ndescription = "x"\n' >"$work/sample/Cargo.toml"
  : >"$work/sample/src/lib.rs"
  printf '[package]\nname = "user_of"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nsample = { version = "1", registry = "work" }\n' >"$work/user_of/Cargo.toml"
  : >"$work/user_of/src/lib.rs"
  works cargo "cargo publish" cargo publish -q --allow-dirty --no-verify --registry work --manifest-path "$work/sample/Cargo.toml"
  works cargo "cargo fetch" cargo fetch -q --manifest-path "$work/user_of/Cargo.toml"
  undo cargo "$CARGO_HOME/credentials.toml" "$CARGO_HOME/config.toml"
}

python_part() {
  mkdir -p "$HOME/.config/pip" "$HOME/.config/uv"
  printf '[global]\nindex-url = https://jo:%s@%s/simple\ncert = %s\n' "$(cat "$work/keys/index")" "$(at index)" "$work/tls.crt" \
    >"$HOME/.config/pip/pip.conf"
  adopt pip index "$HOME/.config/pip/pip.conf"
  works index "pip install" "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --target "$work/pip" \
    --no-cache-dir sample
  undo pip "$HOME/.config/pip/pip.conf"
  printf '# mine\n[[index]]\nname = "work"\nurl = "https://jo:%s@%s/simple"\ndefault = true\n' "$(cat "$work/keys/index2")" \
    "$(at index2)" >"$HOME/.config/uv/uv.toml"
  adopt uv index2 "$HOME/.config/uv/uv.toml"
  works index2 "uv pip install" env "SSL_CERT_FILE=$work/tls.crt" "$venv/bin/uv" pip install -q --no-cache \
    --python "$venv/bin/python" --target "$work/uv" sample
  undo uv "$HOME/.config/uv/uv.toml"
}

# started TOOL PROGRAM: how adopt says that it is started from now on, with our binary in it.
started() {
  line=$(sed -n "s/.*start it so: \(.*hallpass exec .* -- $2\)\$/\1/p" "$work/$1.said")
  [ -n "$line" ] || fail "$1: adopt does not say how it is started: $(cat "$work/$1.said")"
  echo "$line" | sed "s#hallpass exec#$HALLPASS exec#"
}

npm_part() {
  printf 'registry=https://%s/\n//%s/:_authToken=%s\ncafile=%s\n' "$(at npm)" "$(at npm)" "$(cat "$work/keys/npm")" "$work/tls.crt" >"$HOME/.npmrc"
  hallpass adopt npm --dry-run >"$work/npm.said" 2>&1 || fail "npm: $(cat "$work/npm.said")"
  adopt npm npm "$HOME/.npmrc"
  mkdir -p "$work/npm"
  works npm "npm install" sh -c "cd '$work/npm' && $(started npm npm) install --no-audit --no-fund --cache '$work/npm-cache' sample"
  test -s "$work/npm/node_modules/sample/package.json" || fail "npm: nothing was installed"
  undo npm "$HOME/.npmrc"
}

pnpm_part() {
  mkdir -p "$HOME/.config/pnpm"
  for version in pnpm9/bin/pnpm.cjs:rc pnpm/bin/pnpm.mjs:auth.ini; do
    file="$HOME/.config/pnpm/${version##*:}" program="$cache/pnpm/node_modules/${version%%:*}"
    printf '//%s/:_authToken=%s\n' "$(at pnpm)" "$(cat "$work/keys/pnpm")" >"$file"
    # pnpm 12 reads no registry beside a token of its own file.
    printf '# mine\nregistry=https://%s/\nstrict-ssl=false\n' "$(at pnpm)" >"$HOME/.npmrc"
    adopt pnpm pnpm "$file" "$HOME/.npmrc"
    rm -rf "$work/pnpm" "$work/pnpm-store"
    mkdir -p "$work/pnpm"
    echo '{"name":"x","version":"1.0.0"}' >"$work/pnpm/package.json"
    works pnpm "pnpm add ($(node "$program" --version), ${version##*:})" sh -c "cd '$work/pnpm' && node '$program' add --store-dir '$work/pnpm-store' sample"
    undo pnpm "$file" "$HOME/.npmrc"
    rm -f "$file" "$HOME/.npmrc"
  done
}

twine_part() {
  printf '[distutils]\nindex-servers = work\n\n[work]\nrepository = https://%s/legacy/\nusername = jo\npassword = %s\n' "$(at twine)" \
    "$(cat "$work/keys/twine")" >"$HOME/.pypirc"
  hallpass adopt pip --dry-run >"$work/twine.said" 2>&1 || fail "twine: $(cat "$work/twine.said")"
  adopt pip twine "$HOME/.pypirc"
  "$venv/bin/python" - "$work" <<'P'
import sys, zipfile
with zipfile.ZipFile(f"{sys.argv[1]}/sample-1.0-py3-none-any.whl", "w") as archive:
    archive.writestr("sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
    archive.writestr("sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: peers\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    archive.writestr("sample-1.0.dist-info/RECORD", "")
P
  works twine "twine upload" sh -c "PATH='$venv/bin:$PATH' $(started twine twine) upload --non-interactive --disable-progress-bar --cert '$work/tls.crt' -r work '$work/sample-1.0-py3-none-any.whl'"
  undo pip "$HOME/.pypirc"
}

terraform_part() {
  command -v terraform >/dev/null || { ok "terraform: skipped, it is not installed"; return 0; }
  mkdir -p "$HOME/.terraform.d" "$work/tf"
  host=$(at terraform)
  printf 'module "web" {\n  source  = "%s/acme/web/aws"\n  version = "1.0.0"\n}\n' "$host" >"$work/tf/main.tf"
  printf '{\n  "credentials": {\n    "%s": {\n      "token": "%s"\n    }\n  }\n}\n' "$host" "$(cat "$work/keys/terraform")" \
    >"$HOME/.terraform.d/credentials.tfrc.json"
  init() { rm -rf "$work/tf/.terraform"; works terraform "$1" env CHECKPOINT_DISABLE=1 "SSL_CERT_FILE=$work/tls.crt" terraform -chdir="$work/tf" init -no-color; }
  init "terraform init, before"
  adopt terraform terraform "$HOME/.terraform.d/credentials.tfrc.json" "$HOME/.terraformrc"
  init "terraform init, the token having been in credentials.tfrc.json"
  undo terraform "$HOME/.terraform.d/credentials.tfrc.json" "$HOME/.terraformrc"
  rm "$HOME/.terraform.d/credentials.tfrc.json"
  printf 'disable_checkpoint = true\n\ncredentials "%s" {\n  token = "%s"\n}\n' "$host" "$(cat "$work/keys/terraform")" >"$HOME/.terraformrc"
  adopt terraform terraform "$HOME/.terraformrc"
  init "terraform init, the token having been in .terraformrc"
  undo terraform "$HOME/.terraformrc"
}

gitlab_part() {
  printf '[global]\ndefault = work\nssl_verify = %s\n\n[work]\nurl = https://%s\nprivate_token = %s\n' "$work/tls.crt" "$(at gitlab)" \
    "$(cat "$work/keys/gitlab")" >"$HOME/.python-gitlab.cfg"
  adopt glab gitlab "$HOME/.python-gitlab.cfg"
  works gitlab "python-gitlab" "$venv/bin/python" -c 'import gitlab; print(gitlab.Gitlab.from_config("work").version())'
  undo glab "$HOME/.python-gitlab.cfg"
}

# Nothing is adopted here: the file names the program from the beginning.
google_part() {
  audience=//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b
  hallpass credential add idp <"$work/keys/sts" >/dev/null || fail "credential add"
  hallpass helper add gcp "audience:$audience" idp:release >/dev/null || fail "helper add"
  hallpass grant add human idp:release >/dev/null || fail "grant add"
  printf '{"type": "external_account", "audience": "%s", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://%s/v1/token", "credential_source": {"executable": {"command": "%s helper gcp", "timeout_millis": 5000}}}' \
    "$audience" "$(at sts)" "$HALLPASS" >"$work/google.json"
  works sts "google-auth, an executable source" env GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 "REQUESTS_CA_BUNDLE=$work/tls.crt" \
    "$venv/bin/python" -c 'import sys, google.auth.pluggable as p, google.auth.transport.requests as t
found = p.Credentials.from_file(sys.argv[1], scopes=["a"])
found.refresh(t.Request())
assert found.token == "exchanged", found.token' "$work/google.json"
  command -v gcloud >/dev/null || { ok "gcloud: skipped, it is not installed"; return 0; }
  works sts "gcloud auth print-access-token, an executable source" env GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 "CLOUDSDK_CONFIG=$work/gcloud" \
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE=$work/google.json" "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE=$work/tls.crt" \
    "CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT=https://$(at sts)/v1/introspect" gcloud auth print-access-token
  grep -q exchanged "$work/out" || fail "gcloud: another token: $(cat "$work/out")"
}

helm_part() {
  config="$HOME/.config/helm/registry/config.json"
  mkdir -p "$HOME/.config/helm/registry" "$work/chart/sample" "$work/registry"
  registry helm
  printf '{\n\t"auths": {\n\t\t"127.0.0.1:%s": {\n\t\t\t"auth": "%s"\n\t\t}\n\t}\n}\n' "$port" \
    "$(printf 'jo:%s' "$(cat "$work/keys/helm")" | base64 -w0)" >"$config"
  adopt helm helm "$config"
  printf 'apiVersion: v2\nname: sample\nversion: 1.0.0\n' >"$work/chart/sample/Chart.yaml"
  tar -C "$work/chart" -czf "$work/sample-1.0.0.tgz" sample
  for call in 'push(sys.argv[2], at)' 'pull(at + "/sample", version="1.0.0", destination=sys.argv[3])'; do
    works helm "Helm 4's library: ${call%%(*}" env "SSL_CERT_FILE=$work/tls.crt" "$cache/helm/bin/python" -c "import sys, helm_python.registry as helm
at = 'oci://127.0.0.1:' + sys.argv[1] + '/charts'
helm.$call" "$port" "$work/sample-1.0.0.tgz" "$work/chart"
  done
  undo helm "$config"
}

bundler_part() {
  command -v bundle >/dev/null || { ok "bundler: skipped, it is not installed"; return 0; }
  mkdir -p "$HOME/.bundle" "$work/gem" "$work/bundle"
  printf 'Gem::Specification.new { |s| s.name = "sample"; s.version = "1.0.0"; s.summary = "x"; s.authors = ["x"]; s.files = [] }\n' >"$work/gem/sample.gemspec"
  (cd "$work/gem" && gem build -q sample.gemspec -o "$work/sample-1.0.0.gem") >"$work/out" 2>&1 || fail "gem build: $(cat "$work/out")"
  printf -- '---\nBUNDLE_SSL_CA_CERT: "%s"\nBUNDLE_127__0__0__1: "jo:%s"\nBUNDLE_PATH: "vendor"\n' "$work/tls.crt" "$(cat "$work/keys/bundler")" >"$HOME/.bundle/config"
  hallpass adopt bundler --dry-run >"$work/bundler.said" 2>&1 || fail "bundler: $(cat "$work/bundler.said")"
  adopt bundler bundler "$HOME/.bundle/config"
  printf 'source "https://%s"\ngem "sample"\n' "$(at bundler)" >"$work/bundle/Gemfile"
  works bundler "bundle install" sh -c "cd '$work/bundle' && SSL_CERT_FILE='$work/tls.crt' $(started bundler bundle) install"
  undo bundler "$HOME/.bundle/config"
}

for one in $tools; do "${one}_part"; done
