#!/bin/sh
# A web page cannot talk to the gateway or the API: a real browser (headless Chromium) opens a page at another origin,
# which tries everything a page can, with a valid token in its hands. No answer may be readable, and nothing may
# reach the upstream.
#
#   HALLPASS=target/release/hallpass tests/peers/browser.sh
#   tests/peers/browser.sh --open        against an open proxy: does the page find what is there to find?
. "$(dirname "$0")/lib.sh"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  "$here/install.sh" apt
  browser=$(command -v chromium) || fail "chromium is missing"
}

visit() {
  rm -f "$work/report"
  hash=$(jq -rn --arg token "$1" --arg port "$2" \
    '{token: $token, hosts: ["127.0.0.1:" + $port, "localhost:" + $port]} | tojson | @uri')
  python3 "$here/browser_server.py" "$here/browser_page.html" "$work/page.port" "$work/report" &
  pids="$pids $!"
  wait_for "the page's server" test -s "$work/page.port"
  HOME=$work "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
    --disable-default-apps --no-default-browser-check --no-proxy-server --password-store=basic \
    --user-data-dir="$work/profile" --remote-debugging-port=0 \
    "http://127.0.0.1:$(cat "$work/page.port")/#$hash" >"$work/browser.log" 2>&1 &
  browser_pid=$!
  pids="$pids $browser_pid"
  tries=0
  until [ -s "$work/report" ]; do
    kill -0 "$browser_pid" 2>/dev/null || { tail -n 5 "$work/browser.log" >&2; fail "the browser ended by itself"; }
    tries=$((tries + 1))
    [ "$tries" -lt 1200 ] || fail "the page did not report within two minutes"
    sleep 0.1
  done
  kill "$browser_pid" 2>/dev/null || true
  wait "$browser_pid" 2>/dev/null || true
  tried=$(jq length "$work/report")
  [ "$tried" -ge 30 ] || fail "the page tried only $tried things"
}

if [ "${1:-}" = --open ]; then
  # The counter-check: a server that lets everything in must be found out, or the page proves nothing.
  peers_upstream
  python3 "$here/browser_open.py" "$work/open.port" &
  pids="$pids $!"
  wait_for "the open server" test -s "$work/open.port"
  visit "hp""_none" "$(cat "$work/open.port")"
  for name in "fetch cors" "fetch cors with the token" "xhr with the token" "fetch GET" "script" "WebSocket" "EventSource"; do
    jq -e --arg name "$name" 'any(.[]; .name == $name and (.result | startswith("read")))' "$work/report" >/dev/null ||
      fail "the page does not notice an open server by $name: $(jq -c --arg name "$name" '.[] | select(.name == $name)' "$work/report")"
  done
  for name in "fetch no-cors" "form post" "sendBeacon"; do
    jq -e --arg name "$name" 'any(.[]; .name == $name and .result == "opaque")' "$work/report" >/dev/null ||
      fail "the page could not send by $name: $(jq -c --arg name "$name" '.[] | select(.name == $name)' "$work/report")"
  done
  ok "the page notices an open server"
  exit 0
fi

peers_start
port=${gateway##*:}
token=$(hallpass mint openai:chat --as peer-test --task "a page" --json 2>"$work/mint.log" | jq -r .access_token)
case $token in
  hp_*) ;;
  *) fail "mint gave no token: $(cat "$work/mint.log")" ;;
esac
# The token is good: the same request without a browser goes through.
status=$(curl -s -o "$work/out" -w '%{http_code}' --max-time 10 -H "authorization: Bearer $token" \
  -H 'content-type: application/json' -d '{"model":"strict-1","messages":[]}' "$gateway/openai/v1/chat/completions")
[ "$status" = 200 ] || fail "the token does not work without a browser: $status $(cat "$work/out")"
[ "$(peers_record .path | wc -l)" -eq 1 ] || fail "the upstream did not see that request"

visit "$token" "$port"
learned=$(jq -c '.[] | select(.result | startswith("read"))' "$work/report")
[ -z "$learned" ] || fail "the page could read an answer: $learned"
seen=$(peers_record 'select(.n > 1) | [.method, .path]')
[ -z "$seen" ] || fail "requests of the page reached the upstream: $seen"
ok "a page at another origin tried $tried things: no answer readable, nothing reached the upstream"
