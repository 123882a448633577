# Assistants that make a model call with what adopt wrote into their files, each once with its pasted key before: what
# is adopted is a configuration that works. Sourced by assistants.sh.
# shellcheck shell=sh disable=SC2154

# calls TOOL TITLE FILE COMMAND...: the file is there; works, is adopted, works, is undone. `start` is what adopt says
# that the command is to be started with.
calls() {
  tool=$1 title=$2 file=$3
  shift 3
  : >"$work/record"
  says "$title: its key pasted" "$@"
  adopt "$tool" "$file"
  start=$(sed -n 's/.*start it so: hallpass \(exec.*\)-- .*/\1/p' "$work/adopted")
  # shellcheck disable=SC2086 # words
  says "$title: a model call by what adopt wrote" ${start:+"$HALLPASS" $start --no-project --} "$@"
  undo "$tool" "$file"
}

copilot() {
  cat >"$HOME/.bashrc" <<J
# mine
export COPILOT_OFFLINE=true COPILOT_MODEL=strict-1 COPILOT_PROVIDER_TYPE=openai
export COPILOT_PROVIDER_BASE_URL=$upstream/v1
export COPILOT_PROVIDER_API_KEY='$key_openai' # work
J
  # shellcheck disable=SC2016 # for the other shell
  calls copilot-cli "Copilot CLI" "$HOME/.bashrc" bash -c '. "$HOME/.bashrc"; exec "$0" "$@"' \
    "$modules/.bin/copilot" -p "say something"
}

pi() {
  mkdir -p "$HOME/.pi/agent"
  cat >"$HOME/.pi/agent/models.json" <<J
{
  "providers": {
    "own": {
      "baseUrl": "$upstream/v1",
      "api": "openai-completions",
      "apiKey": "$key_openai",
      "models": [{ "id": "strict-1" }]
    }
  }
}
J
  calls pi "Pi" "$HOME/.pi/agent/models.json" "$modules/.bin/pi" -p --no-session --provider own --model strict-1 "say something"
}

continue_() {
  mkdir -p "$HOME/.continue"
  cat >"$HOME/.continue/config.yaml" <<J
name: Mine # as it was
version: 1.0.0
schema: v1
models:
  - name: Strict
    provider: openai
    model: strict-1
    apiKey: $key_openai # work
    apiBase: $upstream/v1/
    roles: [chat]
J
  calls continue "Continue" "$HOME/.continue/config.yaml" "$modules/.bin/cn" -p "say something" \
    --config "$HOME/.continue/config.yaml"
}

llm() {
  mkdir -p "$HOME/.config/io.datasette.llm"
  echo "{\"openai\": \"$key_openai\"}" >"$HOME/.config/io.datasette.llm/keys.json"
  # The upstream's address while the key is pasted; hallpass sets its own.
  export OPENAI_BASE_URL="$upstream/v1"
  calls llm "llm" "$HOME/.config/io.datasette.llm/keys.json" "$cache/llm/bin/llm" -m gpt-4o-mini --no-log "say something"
  unset OPENAI_BASE_URL
}

aider() {
  cat >"$HOME/.aider.conf.yml" <<J
## mine
model: openai/strict-1
openai-api-base: $upstream/v1
openai-api-key: $key_openai
auto-commits: false
J
  calls aider "Aider" "$HOME/.aider.conf.yml" "$cache/aider/bin/aider" --no-git --yes-always --no-check-update \
    --no-show-model-warnings --analytics-disable --no-pretty --message "say something"
}

gemini_model() {
  export GOOGLE_GEMINI_BASE_URL="$upstream"
  mkdir -p "$HOME/.gemini"
  echo '{ "security": { "auth": { "selectedType": "gemini-api-key" } } }' >"$HOME/.gemini/settings.json"
  printf '# mine\nGEMINI_API_KEY=%s\n' "$key_gemini" >"$HOME/.gemini/.env"
  calls gemini-cli "Gemini CLI" "$HOME/.gemini/.env" "$modules/.bin/gemini" -m gemini-2.5-flash --skip-trust -p "say something"
  unset GOOGLE_GEMINI_BASE_URL
}

qwen_model() {
  mkdir -p "$HOME/.qwen"
  cat >"$HOME/.qwen/settings.json" <<J
{
  // mine
  "env": { "OPENAI_API_KEY": "$key_openai" },
  "modelProviders": { "openai": [{ "id": "strict-1", "envKey": "OPENAI_API_KEY", "baseUrl": "$upstream/v1" }] },
  "security": { "auth": { "selectedType": "openai" } },
  "model": { "name": "strict-1" }
}
J
  calls qwen-code "Qwen Code" "$HOME/.qwen/settings.json" "$modules/.bin/qwen" -p "say something"
}

opencode_model() {
  export OPENCODE_DISABLE_MODELS_FETCH=1
  mkdir -p "$HOME/.config/opencode"
  cat >"$HOME/.config/opencode/opencode.jsonc" <<J
{
  "provider": {
    "own": {
      "npm": "@ai-sdk/openai-compatible",
      "options": { "baseURL": "$upstream/v1", "apiKey": "$key_openai" }, // work
      "models": { "strict-1": { "name": "Strict" } },
    },
  },
}
J
  calls opencode "OpenCode" "$HOME/.config/opencode/opencode.jsonc" \
    "$modules/opencode-linux-x64-baseline/bin/opencode" run -m own/strict-1 "say something"
}

# flattened TITLE TOOL FILE COMMAND...: a placeholder that the tool's own writing filled in is taken out again, and the
# next writing leaves what stands there then.
flattened() {
  title=$1 tool=$2 file=$3
  shift 3
  mkdir -p "$(dirname "$file")"
  # shellcheck disable=SC2016 # the tool's own placeholder
  printf '{\n  "mcpServers": {\n    "one": { "command": "echo", "env": { "ACME_API_KEY": "${ACME_SECRET}" } }\n  }\n}\n' >"$file"
  env "ACME_SECRET=$(cat "$work/keys/stdio")" "$@" mcp add --scope user two echo >"$work/out" 2>&1 </dev/null ||
    fail "$title: mcp add: $(cat "$work/out")"
  grep -q "$mark" "$file" || fail "$title leaves placeholders now: this test and its fact are out of date"
  adopt "$tool" "$file"
  "$@" mcp add --scope user three echo >"$work/out" 2>&1 </dev/null || fail "$title: mcp add: $(cat "$work/out")"
  { grep -q three "$file" && ! grep -q "$mark" "$file"; } || fail "$title: the key is back: $(cat "$file")"
  hallpass adopt --undo "$tool" --yes >"$work/out" 2>&1 || fail "$title: undo: $(cat "$work/out")"
  # The tool wrote its whole file anew: the key is back in its place, beside what is new.
  { jq -e --arg key "$(cat "$work/keys/stdio")" '.mcpServers.one.command == "echo" and .mcpServers.one.env.ACME_API_KEY == $key
      and .mcpServers.three' "$file" >/dev/null && ! grep -q hallpass "$file"; } ||
    fail "$title: undo: $(sed "s/$mark/MARK/g" "$file"; cat "$work/out")"
  ok "$title: what it filled in is taken out again, and stays out when it writes its file"
  rm "$file"
}
