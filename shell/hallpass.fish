# hallpass hook for fish: hallpass shell-init fish | source in ~/.config/fish/config.fish
#
# Entering a trusted project, or a folder with a .env file that hallpass wrote references into, makes its tokens
# appear; leaving ends them and gives the variables their old values back. Starts no process anywhere else: whether a
# folder is one of those, the daemon's list says, which is read before each prompt.

set -g _hallpass_found
set -g _hallpass_list
set -g _hallpass_names

# Remembers variables as they are: x for exported, s for set, nothing for unset.
function _hallpass_save
    for name in $argv
        set -ga _hallpass_names $name
        if not set -q $name
            set -g _hallpass_old_$name ''
        else if set -qx $name
            set -g _hallpass_old_$name x $$name
        else
            set -g _hallpass_old_$name s $$name
        end
    end
end

function _hallpass_restore
    for name in $_hallpass_names
        set -l old _hallpass_old_$name
        set -l value $$old
        set -eg $name
        switch "$value[1]"
            case x
                set -gx $name $value[2..]
            case s
                set -g $name $value[2..]
        end
        set -eg $old
    end
    set -g _hallpass_names
end

# What the working folder has: the project above it, and the nearest folder on the list, with its mark. Above other
# .env files or a work tree nothing is looked for, as in `hallpass env`.
function _hallpass_find
    set -l dir $PWD
    while test -n "$dir"
        if test -e "$dir/.hallpass.toml"
            echo $dir
            break
        end
        set dir (string replace -r '/[^/]*$' '' -- $dir)
    end
    test -z "$dir" -a -e /.hallpass.toml; and echo /
    test -n "$_hallpass_list"; or return 0
    # The list has folders as they are behind every link.
    set dir (pwd -P)
    while test -n "$dir" -a "$dir" != /
        for line in $_hallpass_list
            if test (string split -m 1 \t -- $line)[1] = "$dir"
                echo $line
                return 0
            end
        end
        for name in .git .env.local .env.development.local .env.development .env .dev.vars .envrc
            test -e "$dir/$name"; and return 0
        end
        set dir (string replace -r '/[^/]*$' '' -- $dir)
    end
    return 0
end

function _hallpass_leave
    test -n "$_hallpass_found"; or return 0
    set -g _hallpass_found
    test "$HALLPASS_HOOK" = "$fish_pid"; or return 0
    set -l task $HALLPASS_TASK
    set -e HALLPASS_HOOK
    set -e HALLPASS_TASK
    set -e HALLPASS_TASK_TITLE
    set -e HALLPASS_EXPIRES
    set -e HALLPASS_UNTIL
    set -e HALLPASS_VARS
    _hallpass_restore
    test -n "$task"; and command hallpass task end $task >/dev/null 2>&1
    return 0
end

function _hallpass_enter
    set -g _hallpass_found $argv
    # Within `hallpass exec`, or below a shell that is in the folder, the task is there already.
    set -q HALLPASS_TASK; and return 0
    set -l script (command hallpass env --hook --shell fish)
    and begin
        string join \n -- $script | source
        set -gx HALLPASS_HOOK $fish_pid
    end
    return 0
end

function _hallpass_hook --on-variable PWD
    _hallpass_read
    set -l found (_hallpass_find)
    if test "$found" != "$_hallpass_found"
        _hallpass_leave
        test -n "$found"; and _hallpass_enter $found
    end
    return 0
end

# The daemon's list of folders with references, each with a mark of what is there.
function _hallpass_read
    set -g _hallpass_list
    test -s "$_hallpass_references"; or return 0
    while read -l line
        set -ga _hallpass_list $line
    end <$_hallpass_references
    return 0
end

# What the daemon wrote, or put back, in the folder where the shell is.
function _hallpass_look --on-event fish_prompt
    set -l before $_hallpass_list
    _hallpass_read
    test "$before" = "$_hallpass_list"; or _hallpass_hook
    return 0
end

# Says what the watcher did since the last prompt: new lines of its file, which starts no process.
function _hallpass_tell --on-event fish_prompt
    set -l lines
    if test -r "$_hallpass_notices"
        while read -l line
            set -a lines $line
        end <$_hallpass_notices
    end
    test (count $lines) -lt $_hallpass_told; and set -g _hallpass_told 0
    while test $_hallpass_told -lt (count $lines)
        set -g _hallpass_told (math $_hallpass_told + 1)
        echo "hallpass: $lines[$_hallpass_told]" >&2
    end
    return 0
end

# For a prompt: the task and until when its tokens work. fish knows no time without starting a process.
function hallpass_prompt
    set -q HALLPASS_TASK; or return 0
    set -l until ''
    set -q HALLPASS_UNTIL; and set until " until $HALLPASS_UNTIL"
    printf '[%s%s] ' "$HALLPASS_TASK_TITLE" $until
end

# What was said before this shell began is old.
set -g _hallpass_told 0
_hallpass_tell 2>/dev/null

function _hallpass_exit --on-event fish_exit
    _hallpass_leave
end

_hallpass_hook
