# The command on the line, once it is complete; nothing where COMMAND ARG... of `--` are written.
function __loris_command
    set -l words (commandline -opc)[2..]
    contains -- -- $words; and return
    while set -q words[1]
        switch $words[1]
            case --socket
                set -e words[1]
            case '-*'
            case '*'
                echo $words[1]
                return
        end
        set -e words[1]
    end
end

function __loris_is
    test "$(__loris_command)" = $argv[1]
end

function __loris_in_child
    contains -- -- (commandline -opc)
end

function __loris_child
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

function __loris_unit
    systemctl list-units --all --plain --no-legend 2>/dev/null | string replace -r ' .*' ''
end

# What the running agent knows by name.
function __loris_probe
    loris stats --by none --json 2>/dev/null | string replace -rf '.*"probe":"([^"\\\\]*)".*' '$1' | sort -u
end

function __loris_alert
    loris alerts --rules --json 2>/dev/null | string replace -rf '.*"alert":"([^"\\\\]*)".*' '$1' | sort -u
end

function __loris_target
    set -l word (commandline -ct | string trim -l -c '\'"')
    set -l kind (string replace -r ':.*' '' -- $word)
    switch $word
        case 'user:*:*' 'usdt:*:*' 'kernel:*' 'syscall:*' 'span:*' 'kmem:*' 'preset:*'
            loris list -- "$word*" 2>/dev/null | sed '1d; s/  */\t/'
        case 'user:*/*' 'usdt:*/*' 'heap:*/*'
            printf '%s\n' $kind:(__fish_complete_path (string replace -r '^[^:]*:' '' -- $word))
        case 'user:*' 'usdt:*' 'heap:*'
            PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null \
                | string replace -rf '^\s*(\S+) \(.*' "$kind:\$1" | sort -u
        case '*'
            printf '%s\n' $__loris_targets_begin
    end
end

complete -c loris -f
complete -c loris -n __loris_in_child -a '(__loris_child)'
