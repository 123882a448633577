#!/bin/sh
# Real assistants whose pasted keys were adopted: each still works, asks hallpass by itself, and its files and its
# environment hold no key; afterwards each file is put back byte for byte.
#
#   HALLPASS=target/release/hallpass tests/peers/assistants.sh [claude codex gemini qwen opencode copilot pi continue_ llm aider]
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/assistants_models.sh"
"$here/install.sh" node assistants
tools=${*:-claude codex gemini qwen opencode copilot pi continue_ llm aider}
modules=$cache/assistants/node_modules

peers_daemon --plain
unset ANTHROPIC_API_KEY ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN OPENAI_API_KEY OPENAI_BASE_URL GEMINI_API_KEY GOOGLE_API_KEY CLAUDECODE \
  CLAUDE_CONFIG_DIR CODEX_HOME AI_AGENT || true
export DISABLE_TELEMETRY=1 DISABLE_AUTOUPDATER=1 DISABLE_ERROR_REPORTING=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
mkdir -p "$work/project" "$work/before"
cd "$work/project"
# Keys of no known issuer, for MCP servers.
printf 'k7%s' "$mark$(random_hex 16)" >"$work/keys/stdio"
printf 'q3%s' "$mark$(random_hex 16)" >"$work/keys/http"
: >"$work/mcp.record"
python3 "$here/mcp_server.py" http "$work/keys/http" "$work/mcp.record" "$work/mcp.port" &
pids="$pids $!"
wait_for "the MCP server" test -s "$work/mcp.port"
mcp_url="http://127.0.0.1:$(cat "$work/mcp.port")/mcp"

# adopt TOOL FILE...: keeps copies, adopts, and looks for keys that are left.
adopt() {
  tool=$1
  shift
  rm -rf "$work/before" && mkdir "$work/before"
  for file in "$@"; do cp "$file" "$work/before/$(echo "$file" | tr / +)"; done
  hallpass adopt "$@" --yes >"$work/out" 2>&1 || fail "$tool: adopt: $(cat "$work/out")"
  cp "$work/out" "$work/adopted"
  for file in "$@"; do
    ! grep -q "$mark" "$file" || fail "$tool: $file still has a key: $(cat "$work/out")"
  done
  hallpass adopt --check "$tool" >"$work/out" 2>&1 || fail "$tool: --check: $(cat "$work/out")"
  : >"$work/record"
  : >"$work/mcp.record"
}

# undo TOOL FILE...: every file is as it was.
undo() {
  tool=$1
  shift
  hallpass adopt --undo "$tool" --yes >"$work/out" 2>&1 || fail "$tool: --undo: $(cat "$work/out")"
  for file in "$@"; do
    cmp -s "$file" "$work/before/$(echo "$file" | tr / +)" || fail "$tool: $file is not as it was"
  done
  ok "$tool: undone, byte for byte"
}

# says NAME COMMAND...: the command prints what the upstream says.
says() {
  name=$1
  shift
  timeout 90 "$@" >"$work/out" 2>"$work/err" </dev/null || fail "$name: exit code $?: $(tail -c 2000 "$work/out" "$work/err")"
  grep -q "upstream answered in five" "$work/out" || fail "$name: it said: $(tail -c 2000 "$work/out" "$work/err")"
  bad=$(peers_record 'select(.key_ok | not)')
  [ -z "$bad" ] || fail "$name: the upstream refused: $bad"
  [ -s "$work/record" ] || fail "$name: nothing reached the upstream"
  ok "$name"
}

# mcp NAME VIA: an MCP server was spoken to in this way, with its key.
mcp() {
  jq -es --arg via "$2" 'map(select(.via == $via and .method == "initialize")) | length > 0 and all(.key_ok)' \
    "$work/mcp.record" >/dev/null || fail "$1: the MCP server saw: $(cat "$work/mcp.record") $(tail -c 500 "$work/err")"
  ok "$1"
}

claude() {
  program=$modules/@anthropic-ai/claude-code-linux-x64/claude
  settings=$HOME/.claude/settings.json
  mkdir -p "$HOME/.claude"
  echo '{"hasCompletedOnboarding": true}' >"$HOME/.claude.json"
  cat >"$settings" <<J
{
  "permissions": { "allow": ["Bash(ls:*)"] },
  "env": { "ANTHROPIC_API_KEY": "$key_anthropic", "FOO": "bar" }
}
J
  cat >.mcp.json <<J
{
  "mcpServers": {
    "local": {
      "command": "python3",
      "args": ["$here/mcp_server.py", "stdio", "ACME_API_KEY", "$work/keys/stdio", "$work/mcp.record"],
      "env": { "ACME_API_KEY": "$(cat "$work/keys/stdio")" }
    },
    "remote": {
      "type": "http",
      "url": "$mcp_url",
      "headers": { "Authorization": "Bearer $(cat "$work/keys/http")" }
    }
  }
}
J
  adopt claude-code "$settings" .mcp.json
  says "Claude Code: apiKeyHelper and the gateway" "$program" -p "say something" --model strict-1 --mcp-config .mcp.json
  mcp "Claude Code: an MCP server behind exec" stdio
  mcp "Claude Code: headersHelper of a remote MCP server" http
  timeout 90 python3 "$here/assistants_claude.py" "$program" "$HALLPASS" >"$work/out" 2>&1 ||
    fail "Claude Code, after its token ended: $(tail -c 2000 "$work/out")"
  bad=$(peers_record 'select(.key_ok | not)')
  [ -z "$bad" ] || fail "Claude Code: the upstream refused: $bad"
  ok "Claude Code: asks again by itself when its token has ended"
  undo claude-code "$settings" .mcp.json
  # Without any file: a task, and the socket in place of a key.
  rm "$settings" .mcp.json
  : >"$work/record"
  says "Claude Code: ANTHROPIC_UNIX_SOCKET" env ANTHROPIC_UNIX_SOCKET="$gateway_socket" "$HALLPASS" exec --no-project \
    --as claude-code --grant anthropic:messages,models:read -- "$program" -p "say something" --model strict-1
}

codex() {
  config=$HOME/.codex/config.toml
  mkdir -p "$HOME/.codex"
  cat >"$config" <<J
# My settings.
model = "strict-1"
model_provider = "own"

[model_providers.own]
name = "own" # as it was
base_url = "$upstream/v1"
wire_api = "responses"
experimental_bearer_token = "$key_openai"

[mcp_servers.local]
command = "python3"
args = ["$here/mcp_server.py", "stdio", "ACME_API_KEY", "$work/keys/stdio", "$work/mcp.record"]
env = { ACME_API_KEY = "$(cat "$work/keys/stdio")" }
J
  adopt codex "$config"
  says "Codex: auth.command and the gateway" "$modules/.bin/codex" exec --skip-git-repo-check "say something"
  mcp "Codex: an MCP server behind exec" stdio
  undo codex "$config"
}

# of_servers TOOL TITLE FILE MEMBER VARIABLES COMMAND...: an MCP server in a JSON file, which the command starts.
of_servers() {
  tool=$1 title=$2 file=$3
  command='"command": "python3", "args": ["'$here/mcp_server.py'", "stdio", "ACME_API_KEY", "'$work/keys/stdio'", "'$work/mcp.record'"]'
  [ "$4" != mcp ] || command='"type": "local", "command": ["python3", "'$here/mcp_server.py'", "stdio", "ACME_API_KEY", "'$work/keys/stdio'", "'$work/mcp.record'"]'
  mkdir -p "$(dirname "$file")"
  cat >"$file" <<J
{
  "\$schema": "https://opencode.ai/config.json", // as a person wrote it
  "$4": {
    "local": { $command, "$5": { "ACME_API_KEY": "$(cat "$work/keys/stdio")" } }
  }
}
J
  shift 5
  # Once with the pasted key: it works, and a tool that rewrites its file has done so.
  timeout 90 "$@" >"$work/out" 2>"$work/err" </dev/null || fail "$title, before: $(tail -c 2000 "$work/out" "$work/err")"
  mcp "$title: an MCP server, its key pasted" stdio
  adopt "$tool" "$file"
  timeout 90 "$@" >"$work/out" 2>"$work/err" </dev/null || fail "$title: exit code $?: $(tail -c 2000 "$work/out" "$work/err")"
  mcp "$title: an MCP server behind exec" stdio
  undo "$tool" "$file"
}

gemini() {
  of_servers gemini-cli "Gemini CLI" "$HOME/.gemini/settings.json" mcpServers env \
    env GEMINI_CLI_TRUST_WORKSPACE=true "$modules/.bin/gemini" mcp list
  gemini_model
  flattened "Gemini CLI" gemini-cli "$HOME/.gemini/settings.json" "$modules/.bin/gemini"
}
qwen() {
  of_servers qwen-code "Qwen Code" "$HOME/.qwen/settings.json" mcpServers env "$modules/.bin/qwen" mcp list
  qwen_model
  flattened "Qwen Code" qwen-code "$HOME/.qwen/settings.json" "$modules/.bin/qwen"
}
opencode() {
  of_servers opencode "OpenCode" "$HOME/.config/opencode/opencode.jsonc" mcp environment \
    "$modules/opencode-linux-x64-baseline/bin/opencode" mcp list
  opencode_model
}

for tool in $tools; do "$tool"; done
