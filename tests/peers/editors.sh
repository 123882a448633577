#!/bin/sh
# Pastes keys into a watched .env with the real editors: the daemon takes each key out moments later, the editor
# reports no error, its next edit works, and `quarantine restore` gives the same bytes back.
#
#   HALLPASS=target/debug/hallpass tests/peers/editors.sh
. "$(dirname "$0")/lib.sh"
[ -x "${HALLPASS:-}" ] || fail "set HALLPASS to the path of the binary"
HALLPASS=$(cd "$(dirname "$HALLPASS")" && pwd)/$(basename "$HALLPASS")
for tool in vim nano tmux jq node; do command -v "$tool" >/dev/null || fail "$tool is missing: $here/install.sh apt"; done

work=$(mktemp -d "${TMPDIR:-/tmp}/hp-edit.XXXXXX")
work=$(cd "$work" && pwd -P)
trap 'tmux -S "$work/tmux" kill-server 2>/dev/null || true; peers_clean' EXIT
trap 'exit 130' INT TERM
export HALLPASS_HOME="$work/home" TERM=xterm
mkdir "$HALLPASS_HOME" "$work/project"
printf '[store]\nkind = "memory"\n\n[daemon]\nheadless_human = true\n' >"$HALLPASS_HOME/config.toml"
"$HALLPASS" daemon >"$work/daemon.log" 2>&1 &
pids="$pids $!"
wait_for "the daemon" hallpass status
hallpass watch add --yes "$work/project" >/dev/null || fail "watch add"
env=$work/project/.env
cd "$work/project"

new_key() { # put together here: no text in the repository looks like a key
  printf 'sk-%s-%s-%sAA' ant api03 "$(random_hex 47 | cut -c1-93)"
}
is_taken() { grep -q "^$1=\"*hallpass:anthropic" "$env" && ! grep -q 'sk-' "$env"; }
holds() { grep -qxF "$1" "$env"; }
pane_has() { tmux -S "$work/tmux" capture-pane -p | grep -q "$1"; }
window_gone() { ! tmux -S "$work/tmux" list-sessions; }

with_echo() { echo "$1" >>.env; }
with_sed() { sed -i "\$a $1" .env; }
with_vim() { # -es is vim's silent mode: an error is in its exit code and output
  vim -Nes -u NONE -i NONE -c "call append(line('\$'), '$1')" -c 'wq' .env </dev/null >"$work/said" 2>&1
}
with_nano() {
  rm -f "$work/code"
  tmux -S "$work/tmux" -f /dev/null new-session -d -x 200 -y 40 'nano --ignorercfiles .env; echo $? >'"$work/code"
  wait_for "nano" pane_has 'GNU nano'
  tmux -S "$work/tmux" send-keys M-/ Enter Up
  tmux -S "$work/tmux" send-keys -l "$1"
  wait_for "the typed text" pane_has "${1%%=*}="
  tmux -S "$work/tmux" send-keys C-o
  wait_for "nano's question" pane_has 'Write to File\|File Name to Write'
  tmux -S "$work/tmux" send-keys Enter
  wait_for "nano's answer" pane_has 'Wrote [0-9]* lines'
  # The file changes under it; a second save would say so, leaving does not.
  tmux -S "$work/tmux" send-keys C-x
  wait_for "nano's end" window_gone
  [ "$(cat "$work/code")" = 0 ]
}
# What VS Code does to a file that is open: reads it, writes the whole of it in place with O_TRUNC, and checks by
# mtime and size that nobody wrote in between (src/vs/platform/files/node/diskFileSystemProvider.ts).
with_code_in_place() { node "$here/editors_save.mjs" in-place .env "$1"; }
with_code_atomic() { node "$here/editors_save.mjs" atomic .env "$1"; }

for editor in echo sed vim nano code_in_place code_atomic; do
  printf '# mine\nPORT=8080\n' >.env
  for round in ONE TWO; do
    key=$(new_key)
    "with_$editor" "${round}_KEY=$key" || fail "$editor: its edit failed: $(cat "$work/said" 2>/dev/null)"
    wait_for "$editor: ${round}_KEY's reference" is_taken "${round}_KEY"
  done
  holds '# mine' && holds 'PORT=8080' && grep -q '^ONE_KEY=hallpass:' .env || fail "$editor: other lines changed"
  id=$(hallpass --json quarantine list | jq -r '.items[0].id')
  hallpass quarantine restore "$id" >/dev/null || fail "$editor: restore"
  holds "TWO_KEY=$key" || fail "$editor: the restore did not give the same bytes"
  # A person's word stays: the daemon lists it and does not take it again.
  wait_for "$editor: the finding" sh -c '"$HALLPASS" --json findings | jq -e ".items[0].note | test(\"put back\")"'
  holds "TWO_KEY=$key" || fail "$editor: it was taken again"
  ok "$editor"
done
