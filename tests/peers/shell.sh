#!/bin/sh
# Tries the hooks of shell/ in the real bash, zsh and fish: enter a trusted project and tokens appear, leave it and
# they are revoked and the old values are back, an untrusted one is named once. A folder whose .env was quarantined needs
# no project file; one with the same text that hallpass did not write gets nothing.
#
#   HALLPASS=target/release/hallpass tests/peers/shell.sh
. "$(dirname "$0")/lib.sh"
peers_start
mkdir "$work/bin" "$work/trusted" "$work/trusted/sub" "$work/untrusted"
ln -s "$HALLPASS" "$work/bin/hallpass"
export PATH="$work/bin:$PATH" TRUSTED="$work/trusted" UNTRUSTED="$work/untrusted" HOOKS="$root/shell"
hallpass route add demo "$upstream" --allow-private --key-env DEMO_API_KEY >/dev/null || fail "route add"
printf %s "$key_openai" | hallpass credential add demo >/dev/null || fail "credential add demo"
hallpass grant add human demo:read >/dev/null || fail "grant add"
for project in "$TRUSTED" "$UNTRUSTED"; do
  echo 'want = ["demo:read"]' >"$project/.hallpass.toml"
done
hallpass trust --yes "$TRUSTED" >/dev/null || fail "trust"
failed=0

check() { # name, shell's output, expected lines
  if [ "$2" = "$3" ]; then echo "ok   $1"; else
    failed=1
    printf 'FAIL %s\n--- got\n%s\n--- want\n%s\n' "$1" "$2" "$3"
  fi
}

want='before old exported
in hp_
sub hp_
outside old exported ended
untrusted old'

posix_body='
show() { printf "%s\n" "$*"; }
look() { case ${DEMO_API_KEY-} in hp_*) echo hp_ ;; *) echo "${DEMO_API_KEY-unset}" ;; esac; }
exported() { env | grep -q "^DEMO_API_KEY=old$" && echo exported || echo hidden; }
export DEMO_API_KEY=old
cd /; _hallpass_hook; show before "$(look)" "$(exported)"
cd "$TRUSTED"; _hallpass_hook; show in "$(look)"
id=$HALLPASS_TASK
cd "$TRUSTED/sub"; _hallpass_hook; show sub "$(look)"
cd /; _hallpass_hook
ended=open; hallpass --json task show "$id" | grep -q "\"ended_at\": \"" && ended=ended
show outside "$(look)" "$(exported)" "$ended"
cd "$UNTRUSTED"; _hallpass_hook; _hallpass_hook; show untrusted "$(look)"
'

fish_body='
function look; if string match -q "hp_*" -- "$DEMO_API_KEY"; echo hp_; else; echo $DEMO_API_KEY; end; end
function exported; env | grep -q "^DEMO_API_KEY=old\$"; and echo exported; or echo hidden; end
set -gx DEMO_API_KEY old
cd /; echo before (look) (exported)
cd $TRUSTED; echo in (look)
set id $HALLPASS_TASK
cd $TRUSTED/sub; echo sub (look)
cd /
set ended open; hallpass --json task show $id | grep -q "\"ended_at\": \""; and set ended ended
echo outside (look) (exported) $ended
cd $UNTRUSTED; echo untrusted (look)
'

notes=$work/notes
check bash "$(bash --norc -c "eval \"\$(hallpass shell-init bash)\"$posix_body" 2>"$notes")" "$want"
check 'bash says it once' "$(grep -c 'hallpass:' "$notes")" 1
check zsh "$(zsh -f -c "eval \"\$(hallpass shell-init zsh)\"$posix_body" 2>"$notes")" "$want"
check 'zsh says it once' "$(grep -c 'hallpass:' "$notes")" 1
check fish "$(fish --no-config -c "hallpass shell-init fish | source$fish_body" 2>"$notes")" "$want"
check 'fish says it once' "$(grep -c 'hallpass:' "$notes")" 1

# A folder with nothing but a .env that was quarantined, a link to it, and a clone with the same text.
mkdir "$work/pasted" "$work/pasted/sub" "$work/cloned"
ln -s "$work/pasted" "$work/linked"
expect=$(random_hex 24)
printf 'PASTED_SECRET=%s\n' "$expect" >"$work/pasted/.env"
hallpass quarantine --yes --all "$work/pasted" >"$notes" 2>&1 || fail "quarantine: $(cat "$notes")"
grep -qx 'PASTED_SECRET=hallpass:pasted-secret' "$work/pasted/.env" || fail "it was not taken"
hallpass grant add human pasted-secret:release >/dev/null || fail "grant add"
cp "$work/pasted/.env" "$work/cloned/.env"
# A key that hallpass did not write gets nothing, even in its own file. Then puts the secret back, and takes it out again: both show in the shell that stands there.
cat >"$work/back" <<'EOF'
sed -i '/^OTHER=/d' "$PASTED/.env"
id=$(hallpass --json quarantine list | jq -r '[.items[] | select(.state == "quarantined")][0].id')
hallpass quarantine restore "$id" >/dev/null
EOF
export PASTED="$work/pasted" LINKED="$work/linked" CLONED="$work/cloned" EXPECT="$expect" BACK="$work/back"
want_pasted='in same unset
outside unset unset
linked same unset
cloned unset unset
again same unset
restored unset unset
taken same unset'
posix_pasted='
look() { if [ "${PASTED_SECRET-}" = "$EXPECT" ]; then one=same; else one=${PASTED_SECRET-unset}; fi
  printf "%s %s %s\n" "$1" "$one" "${OTHER-unset}"; }
echo OTHER=hallpass:pasted-secret >>"$PASTED/.env"
cd "$PASTED/sub"; _hallpass_hook; look in
cd /; _hallpass_hook; look outside
cd "$LINKED/sub"; _hallpass_hook; look linked
cd "$CLONED"; _hallpass_hook; look cloned
cd "$PASTED"; _hallpass_hook; look again
sh "$BACK"; _hallpass_hook; look restored
hallpass quarantine --yes --all .env >/dev/null 2>&1; _hallpass_hook; look taken
'
fish_pasted='
function look
  set -l one unset; set -q PASTED_SECRET; and set one $PASTED_SECRET; test "$one" = "$EXPECT"; and set one same
  set -l other unset; set -q OTHER; and set other $OTHER
  echo $argv[1] $one $other
end
echo OTHER=hallpass:pasted-secret >>$PASTED/.env
cd $PASTED/sub; look in
cd /; look outside
cd $LINKED/sub; look linked
cd $CLONED; look cloned
cd $PASTED; look again
sh $BACK; _hallpass_look; look restored
hallpass quarantine --yes --all .env >/dev/null 2>&1; _hallpass_look; look taken
'
check 'bash in a quarantined folder' \
  "$(bash --norc -c "eval \"\$(hallpass shell-init bash)\"$posix_pasted" 2>"$notes")" "$want_pasted"
check 'zsh in a quarantined folder' \
  "$(zsh -f -c "eval \"\$(hallpass shell-init zsh)\"$posix_pasted" 2>"$notes")" "$want_pasted"
check 'fish in a quarantined folder' \
  "$(fish --no-config -c "hallpass shell-init fish | source$fish_pasted" 2>"$notes")" "$want_pasted"

prompt='HALLPASS_TASK=task_1 HALLPASS_TASK_TITLE=web HALLPASS_EXPIRES=$((EPOCHSECONDS + 600)) hallpass_prompt'
check 'bash prompt' "$(bash --norc -c "eval \"\$(hallpass shell-init bash)\"; $prompt")" '[web 10m] '
check 'zsh prompt' "$(zsh -f -c "eval \"\$(hallpass shell-init zsh)\"; $prompt")" '[web 10m] '
check 'fish prompt' "$(fish --no-config -c 'hallpass shell-init fish | source
  set -g HALLPASS_TASK task_1; set -g HALLPASS_TASK_TITLE web; set -g HALLPASS_UNTIL 12:30; hallpass_prompt')" \
  '[web until 12:30] '

# What the watcher says is in the next prompt, once.
notices=$(hallpass shell-init bash | sed -n "s/^_hallpass_notices='\(.*\)'$/\1/p")
echo 'old news' >"$notices"
posix_notice='; printf "%s\n" "a key is in the store" >>"$_hallpass_notices"; _hallpass_hook; _hallpass_hook'
said='hallpass: a key is in the store'
check 'bash notice' "$(bash --norc -c "eval \"\$(hallpass shell-init bash)\"$posix_notice" 2>&1)" "$said"
check 'zsh notice' "$(zsh -f -c "eval \"\$(hallpass shell-init zsh)\"$posix_notice" 2>&1)" "$said"
check 'fish notice' "$(fish --no-config -c 'hallpass shell-init fish | source
  echo "a key is in the store" >>$_hallpass_notices; _hallpass_tell; _hallpass_tell' 2>&1)" "$said"
# What exists nowhere cannot be started: a folder without a project costs no process.
printf '/elsewhere\t1\n%s\t2\n' "$CLONED" >"$work/list"
check 'no process without a project' "$(cd / && bash --norc -c "$(cat "$HOOKS/hallpass.bash")
PATH=/nowhere _hallpass_references='$work/list'; _hallpass_hook && echo quiet" 2>&1)" quiet
exit $failed
