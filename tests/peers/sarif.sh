#!/bin/sh
# `hallpass scan --sarif` by Microsoft's validator, which has the official 2.1.0 schema and the rules that a schema cannot
# say. A log that is broken on purpose shows that it looks.
#
#   HALLPASS=target/debug/hallpass tests/peers/sarif.sh
. "$(dirname "$0")/lib.sh"
[ -x "${HALLPASS:-}" ] || fail "set HALLPASS to the path of the binary"
HALLPASS=$(cd "$(dirname "$HALLPASS")" && pwd)/$(basename "$HALLPASS")
"$here/install.sh" node
validator=$PEERS_NODE_MODULES/@microsoft/sarif-multitool-linux/Sarif.Multitool
if [ "$(uname -sm)" != "Linux x86_64" ] || [ ! -e "$validator" ]; then
  echo "skipped: the validator is there for Linux on x86_64 only"
  exit 0
fi
[ -x "$validator" ] || chmod +x "$validator"
# It is a .NET program: no ICU is needed for what it does here.
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

work=$(mktemp -d "${TMPDIR:-/tmp}/hp-sarif.XXXXXX")
trap peers_clean EXIT
trap 'exit 130' INT TERM
export HALLPASS_HOME="$work/home" HOME="$work/home"
mkdir -p "$HALLPASS_HOME" "$work/project/a b%ü#" "$work/empty"
cd "$work"

# judge LOG: the validator's errors and warnings, one on a line
judge() {
  "$validator" validate "$1" --output "$1.judged" --log ForceOverwrite >"$1.said" 2>&1 ||
    fail "the validator: $(cat "$1.said")"
  jq -r '.runs[].results[]? | select((.level // "warning") != "note") | "\(.ruleId) \(.message | tostring)"' "$1.judged"
}
# scan LOG PATH: the log, with the exit code that it must have
scan() {
  code=0
  "$HALLPASS" scan --sarif "$2" >"$1" 2>"$work/err" || code=$?
  [ "$code" = "$3" ] || fail "scan $2: $code $(cat "$work/err")"
}

# Both classes, several kinds, and a name that has to be escaped in a URI.
key="sk-""ant-api03-$(random_hex 47 | cut -c1-93)AA"
printf 'ANTHROPIC_API_KEY=%s\n# ü \nTOKEN_SECRET=%s\n' "$key" "$(random_hex 24)" >"$work/project/.env"
printf '{"password": "%s"}\n' "$(random_hex 20)" >"$work/project/a b%ü#/settings.json"
scan relative.sarif project 5
scan absolute.sarif "$work/project" 5
scan none.sarif empty 0
for log in relative absolute none; do
  said=$(judge "$log.sarif")
  [ -z "$said" ] || fail "$log: $said"
done
jq -e '.runs[0].results | length == 3' relative.sarif >/dev/null || fail "not all secrets are in the log"
if grep -q "$key" ./*.sarif; then fail "the log has the secret"; fi
jq '.runs[0].results[0].locations[0].physicalLocation.region.startLines = 1' relative.sarif >broken.sarif
judge broken.sarif | grep -q 'JSON1005' || fail "the validator says nothing of a log that is broken"
ok "sarif: three logs are valid SARIF 2.1.0, and a broken one is not"
