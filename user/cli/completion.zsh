_loris_file() { _files }
_loris_pid() { _pids }
_loris_command() { _describe -t commands 'loris command' loris_commands }

_loris_unit() {
  local -a units
  units=(${(f)"$(systemctl list-units --all --plain --no-legend 2>/dev/null | sed 's/ .*//')"})
  compadd -a units
}

# What the running agent knows by name.
_loris_names() {
  local -a names
  names=(${(f)"$(loris ${(z)2} --json 2>/dev/null |
    sed -n "s/.*\"$1\":\"\([^\"\\\\]*\)\".*/\1/p" | sort -u)"})
  compadd -a names
}
_loris_probe() { _loris_names probe 'stats --by none' }
_loris_alert() { _loris_names alert 'alerts --rules' }

_loris_target() {
  local -a found
  case $PREFIX in
  (user|usdt):*:*|(kernel|syscall|span|kmem|preset):*)
    found=(${(f)"$(loris list -- "$PREFIX*" 2>/dev/null | sed '1d; s/ .*//')"})
    compadd -a found ;;
  (user|usdt|heap):*/*)
    compset -P '*:'
    _files -S '' ;;
  (user|usdt|heap):*)
    found=(${(f)"$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null |
      sed -n "s|^[[:blank:]]*\([^ ]*\) (.*|${PREFIX%%:*}:\1|p" | sort -u)"})
    compadd -S '' -a found ;;
  *)
    compadd -S '' -a loris_targets_begin ;;
  esac
}
