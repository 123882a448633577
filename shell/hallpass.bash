# hallpass hook for bash: eval "$(hallpass shell-init bash)" in ~/.bashrc
#
# Entering a trusted project, or a folder with a .env file that hallpass wrote references into, makes its tokens
# appear; leaving ends them and gives the variables their old values back. Starts no process anywhere else: whether a
# folder is one of those, the daemon's list says, which is read before each prompt.

_hallpass_found=''
_hallpass_pwd=''
_hallpass_list=''
declare -gA _hallpass_old=()

# Remembers variables as they are: x for exported, s for set, nothing for unset.
_hallpass_save() {
  local name
  for name in "$@"; do
    if [[ ! -v $name ]]; then
      _hallpass_old[$name]=''
    elif [[ ${!name@a} == *x* ]]; then
      _hallpass_old[$name]="x${!name}"
    else
      _hallpass_old[$name]="s${!name}"
    fi
  done
}

_hallpass_restore() {
  local name value
  for name in "${!_hallpass_old[@]}"; do
    value=${_hallpass_old[$name]}
    unset -v "$name"
    case $value in
      x*) export "$name=${value#x}" ;;
      s*) printf -v "$name" %s "${value#s}" ;;
    esac
  done
  _hallpass_old=()
}

# The daemon's list of folders with references, each with a mark of what is there.
_hallpass_read() {
  local text=()
  [[ -s ${_hallpass_references-} ]] && mapfile -d '' -t text <"$_hallpass_references" 2>/dev/null
  REPLY=${text[0]-}
}

# What the working folder has: the project above it, and the nearest folder on the list, with its mark. Above other
# .env files or a work tree nothing is looked for, as in `hallpass env`.
_hallpass_find() {
  local dir=$PWD name rest
  REPLY=''
  while :; do
    if [[ -e $dir/.hallpass.toml ]]; then
      REPLY=$dir
      break
    fi
    [[ -z $dir || $dir == / ]] && break
    dir=${dir%/*}
  done
  [[ -n $_hallpass_list ]] || return 0
  # The list has folders as they are behind every link.
  dir=$PWD
  while [[ -n $dir && ! -L $dir ]]; do dir=${dir%/*}; done
  if [[ -n $dir ]]; then dir=$(pwd -P); else dir=$PWD; fi
  while [[ -n $dir && $dir != / ]]; do
    rest=$'\n'$_hallpass_list
    if [[ $rest == *$'\n'"$dir"$'\t'* ]]; then
      rest=${rest#*$'\n'"$dir"$'\t'}
      REPLY+=$'\n'$dir$'\t'${rest%%$'\n'*}
      return 0
    fi
    for name in .git .env.local .env.development.local .env.development .env .dev.vars .envrc; do
      [[ -e $dir/$name ]] && return 0
    done
    dir=${dir%/*}
  done
}

_hallpass_leave() {
  local task=${HALLPASS_TASK-}
  [[ -z $_hallpass_found ]] && return
  _hallpass_found=''
  [[ ${HALLPASS_HOOK-} == "$$" ]] || return
  unset -v HALLPASS_HOOK HALLPASS_TASK HALLPASS_TASK_TITLE HALLPASS_EXPIRES HALLPASS_UNTIL HALLPASS_VARS
  _hallpass_restore
  [[ -n $task ]] && command hallpass task end "$task" >/dev/null 2>&1
}

_hallpass_enter() {
  local script
  _hallpass_found=$1
  # Within `hallpass exec`, or below a shell that is in the folder, the task is there already.
  [[ -n ${HALLPASS_TASK-} ]] && return
  if script=$(command hallpass env --hook --shell bash); then
    eval "$script"
    export HALLPASS_HOOK=$$
  fi
}

_hallpass_hook() {
  local status=$?
  _hallpass_tell
  _hallpass_read
  if [[ $PWD != "$_hallpass_pwd" || $REPLY != "$_hallpass_list" ]]; then
    _hallpass_pwd=$PWD
    _hallpass_list=$REPLY
    _hallpass_find
    if [[ $REPLY != "$_hallpass_found" ]]; then
      _hallpass_leave
      [[ -n $REPLY ]] && _hallpass_enter "$REPLY"
    fi
  elif [[ -n ${HALLPASS_EXPIRES-} && ${HALLPASS_HOOK-} == "$$" ]] && ((EPOCHSECONDS >= HALLPASS_EXPIRES)); then
    _hallpass_pwd=''
    _hallpass_leave
    _hallpass_hook
  fi
  return "$status"
}

# Says what the watcher did since the last prompt: new lines of its file, which starts no process.
_hallpass_tell() {
  local lines=()
  [[ -r ${_hallpass_notices-} ]] && mapfile -t lines <"$_hallpass_notices"
  ((${#lines[@]} < _hallpass_told)) && _hallpass_told=0
  while ((_hallpass_told < ${#lines[@]})); do
    printf 'hallpass: %s\n' "${lines[_hallpass_told]}" >&2
    _hallpass_told=$((_hallpass_told + 1))
  done
}

# For a prompt, as in PS1='$(hallpass_prompt)\$ ': the task and the minutes that are left.
hallpass_prompt() {
  [[ -n ${HALLPASS_TASK-} ]] || return 0
  local left=''
  if [[ ${HALLPASS_EXPIRES-} =~ ^[0-9]+$ ]]; then
    left=$(((HALLPASS_EXPIRES - EPOCHSECONDS + 59) / 60))
    ((left > 0)) && left=" ${left}m" || left=' over'
  fi
  printf '[%s%s] ' "${HALLPASS_TASK_TITLE-}" "$left"
}

# What was said before this shell began is old.
_hallpass_told=0
_hallpass_tell 2>/dev/null

if [[ ";${PROMPT_COMMAND[*]-};" != *_hallpass_hook* ]]; then
  PROMPT_COMMAND="_hallpass_hook${PROMPT_COMMAND:+;$PROMPT_COMMAND}"
fi
# The tokens end with the shell, where nothing else wants to know of its end.
[[ -z $(trap -p EXIT) ]] && trap _hallpass_leave EXIT
