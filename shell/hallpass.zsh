# hallpass hook for zsh: eval "$(hallpass shell-init zsh)" in ~/.zshrc
#
# Entering a trusted project, or a folder with a .env file that hallpass wrote references into, makes its tokens
# appear; leaving ends them and gives the variables their old values back. Starts no process anywhere else: whether a
# folder is one of those, the daemon's list says, which is read before each prompt.

zmodload zsh/datetime
typeset -g _hallpass_found='' _hallpass_pwd='' _hallpass_list=''
typeset -gA _hallpass_old

# Remembers variables as they are: x for exported, s for set, nothing for unset.
_hallpass_save() {
  emulate -L zsh
  local name
  for name in "$@"; do
    if (( ! ${(P)+name} )); then
      _hallpass_old[$name]=''
    elif [[ ${(Pt)name} == *export* ]]; then
      _hallpass_old[$name]="x${(P)name}"
    else
      _hallpass_old[$name]="s${(P)name}"
    fi
  done
}

_hallpass_restore() {
  emulate -L zsh
  local name value
  for name in "${(@k)_hallpass_old}"; do
    value=${_hallpass_old[$name]}
    unset "$name"
    case $value in
      x*) export "$name=${value#x}" ;;
      s*) typeset -g "$name=${value#s}" ;;
    esac
  done
  _hallpass_old=()
}

# The daemon's list of folders with references, each with a mark of what is there.
_hallpass_read() {
  emulate -L zsh
  REPLY=''
  [[ -s ${_hallpass_references-} ]] && REPLY=$(<$_hallpass_references) 2>/dev/null
  return 0
}

# What the working folder has: the project above it, and the nearest folder on the list, with its mark. Above other
# .env files or a work tree nothing is looked for, as in `hallpass env`.
_hallpass_find() {
  emulate -L zsh
  local dir=$PWD name rest
  REPLY=''
  while true; do
    if [[ -e $dir/.hallpass.toml ]]; then
      REPLY=$dir
      break
    fi
    [[ -z $dir || $dir == / ]] && break
    dir=${dir%/*}
  done
  [[ -n $_hallpass_list ]] || return 0
  # The list has folders as they are behind every link.
  dir=${PWD:A}
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
  return 0
}

_hallpass_leave() {
  local task=${HALLPASS_TASK-}
  [[ -z $_hallpass_found ]] && return 0
  _hallpass_found=''
  [[ ${HALLPASS_HOOK-} == "$$" ]] || return 0
  unset HALLPASS_HOOK HALLPASS_TASK HALLPASS_TASK_TITLE HALLPASS_EXPIRES HALLPASS_UNTIL HALLPASS_VARS
  _hallpass_restore
  [[ -n $task ]] && command hallpass task end "$task" >/dev/null 2>&1
  return 0
}

_hallpass_enter() {
  local script
  _hallpass_found=$1
  # Within `hallpass exec`, or below a shell that is in the folder, the task is there already.
  [[ -n ${HALLPASS_TASK-} ]] && return 0
  if script=$(command hallpass env --hook --shell zsh); then
    eval "$script"
    export HALLPASS_HOOK=$$
  fi
  return 0
}

_hallpass_hook() {
  local REPLY
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
  elif [[ -n ${HALLPASS_EXPIRES-} && ${HALLPASS_HOOK-} == "$$" ]] && (( EPOCHSECONDS >= HALLPASS_EXPIRES )); then
    _hallpass_pwd=''
    _hallpass_leave
    _hallpass_hook
  fi
  return 0
}

# Says what the watcher did since the last prompt: new lines of its file, which starts no process.
_hallpass_tell() {
  emulate -L zsh
  local lines=()
  [[ -s ${_hallpass_notices-} ]] && lines=("${(@f)$(<$_hallpass_notices)}")
  (( ${#lines} < _hallpass_told )) && _hallpass_told=0
  while (( _hallpass_told < ${#lines} )); do
    (( ++_hallpass_told ))
    print -r -u2 -- "hallpass: ${lines[_hallpass_told]}"
  done
  return 0
}

# For a prompt, with setopt prompt_subst and PROMPT='$(hallpass_prompt)%# ': the task and the minutes
# that are left.
hallpass_prompt() {
  [[ -n ${HALLPASS_TASK-} ]] || return 0
  local left=''
  if [[ ${HALLPASS_EXPIRES-} == <-> ]]; then
    left=$(( (HALLPASS_EXPIRES - EPOCHSECONDS + 59) / 60 ))
    (( left > 0 )) && left=" ${left}m" || left=' over'
  fi
  # A percent sign would be an escape of the prompt.
  print -rn -- "[${${HALLPASS_TASK_TITLE-}//\%/%%}$left] "
}

# What was said before this shell began is old.
typeset -gi _hallpass_told=0
_hallpass_tell 2>/dev/null

autoload -Uz add-zsh-hook
add-zsh-hook chpwd _hallpass_hook
add-zsh-hook precmd _hallpass_hook
add-zsh-hook zshexit _hallpass_leave
