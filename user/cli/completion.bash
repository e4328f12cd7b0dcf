# What follows uses _loris_commands, _loris_options and _loris_value, which stand above.

# Takes over the lines of stdin that begin with $1. They name files and symbols of strangers, so
# nothing here may expand them, as `compgen -W` would.
_loris_keep() {
    local line
    while IFS= read -r line; do
        [[ $line == "$1"* ]] || continue
        [[ $2 ]] || printf -v line %q "$line"
        COMPREPLY+=("$line")
    done
}

_loris_targets() {
    case $1 in
    user:*:* | usdt:*:* | kernel:* | syscall:* | span:* | kmem:* | preset:*)
        loris list -- "$1*" 2>/dev/null | sed '1d; s/ .*//'
        ;;
    user:*/* | usdt:*/* | heap:*/*)
        compgen -f -- "${1#*:}" | sed "s|^|${1%%:*}:|"
        compopt -o nospace
        ;;
    user:* | usdt:* | heap:*)
        PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null |
            sed -n "s|^[[:blank:]]*\([^ ]*\) (.*|${1%%:*}:\1|p" | sort -u
        compopt -o nospace
        ;;
    *)
        printf '%s\n' $_loris_targets_begin
        compopt -o nospace
        ;;
    esac
}

# What of the kind $1 begins with $2; quoted already where $3 says so.
_loris_complete() {
    case $1 in
    words*) _loris_keep "$2" "$3" < <(printf '%s\n' ${1#words}) ;;
    command) _loris_keep "$2" "$3" < <(printf '%s\n' $_loris_commands) ;;
    file)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        ;;
    pid) _loris_keep "$2" "$3" < <(ps -e -o pid= | tr -d ' ') ;;
    unit)
        _loris_keep "$2" "$3" < <(systemctl list-units --all --plain --no-legend 2>/dev/null |
            sed 's/ .*//')
        ;;
    probe | alert) _loris_keep "$2" "$3" < <(_loris_names "$1") ;;
    target)
        case $2 in
        user:*:* | usdt:*:* | kernel:* | syscall:* | span:* | kmem:* | preset:*) ;;
        *) compopt -o nospace ;;
        esac
        _loris_keep "$2" "$3" < <(_loris_targets "$2" 2>/dev/null)
        ;;
    esac
}

# What the running agent knows by name.
_loris_names() {
    case $1 in
    probe) loris stats --by none --json ;;
    alert) loris alerts --rules --json ;;
    esac 2>/dev/null | sed -n "s/.*\"$1\":\"\([^\"\\\\]*\)\".*/\1/p" | sort -u
}

# The word at the cursor as it was typed, for readline breaks words at `:` and `=` too.
_loris() {
    local line=${COMP_LINE:0:COMP_POINT} command='' reply='' quoted='' cur prev i
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=('')
    COMPREPLY=()
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
        --)
            _loris_child "$i" "${words[@]}"
            return
            ;;
        --socket) [[ $command ]] || ((i++)) ;;
        -*) ;;
        *) command=${command:-${words[i]}} ;;
        esac
    done
    cur=${words[-1]} prev=${words[-2]}
    case $cur in
    --*=*) prev=${cur%%=*} cur=${cur#*=} ;;
    \'* | \"*) quoted=yes cur=${cur:1} ;;
    esac
    _loris_value "$command" "$prev"
    if [[ -z $reply && $cur == -* ]]; then
        _loris_options "$command"
    elif [[ -z $reply && -z $command ]]; then
        reply='command'
    elif [[ -z $reply ]]; then
        _loris_value "$command" ''
    fi
    _loris_complete "$reply" "$cur" "$quoted"
    if [[ -z $quoted && $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
    fi
}

# The program that `--`, word $1 of those that follow, stands before.
_loris_child() {
    local from=$(($1 + 1)) count=$(($# - 1))
    if declare -F _command_offset >/dev/null; then
        _command_offset "$from"
        return
    fi
    compopt -o filenames
    if ((from == count - 1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "${!#}")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "${!#}")
    fi
}

complete -F _loris loris
