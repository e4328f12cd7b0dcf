#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs, through apt, the packages that loris needs and that are not there yet.
# Plain sh, because a minimal Debian 12 has nothing else. Starts no service.
set -eu

# What turns the sources into lorisd and loris.
BUILD_PACKAGES="
    gcc make clang bpftool pkg-config scdoc libc6-dev linux-libc-dev
    libbpf-dev libelf-dev libdw-dev zlib1g-dev libsystemd-dev libyaml-dev
    libjansson-dev libxxhash-dev libcapstone-dev libiberty-dev libncurses-dev"

# What the two programs load when they run.
RUN_PACKAGES="
    libbpf1 libelf1 libdw1 zlib1g libsystemd0 libyaml-0-2
    libjansson4 libxxhash0 libcapstone4
    libncursesw6"

# What `make check` compares with, watches and runs in.
TEST_PACKAGES="
    libcmocka-dev g++ clang python3 shellcheck valgrind strace jq procps
    bpftrace systemtap-sdt-dev
    redis-server redis-tools sqlite3 postgresql postgresql-client libpq5
    libhiredis-dev mariadb-server-core libdbd-mysql-perl nginx apache2-bin curl openssl gnutls-bin
    libzstd1 tmux systemd logrotate
    qemu-system-x86 busybox-static cpio"

# What `make deb` and `make rpm` build with, and what their results are tried in.
PACKAGE_PACKAGES="
    build-essential debhelper lintian blhc rpm scdoc mandoc man-db debootstrap zsh fish"

# What `make bench` measures loris against. A newer bpftrace and the kernel headers for bcc are
# unpacked into a folder by the bench itself, for they are of other suites than the system's.
BENCH_PACKAGES="
    python3 bpftrace bpfcc-tools libbpf-tools linux-perf strace"

# Of these, the ones that would run from now on. They are installed for their programs only.
TEST_SERVICES="redis-server postgresql nginx"

POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="placed by loris packaging/install-deps.sh"
PATH=$PATH:/usr/sbin:/sbin
log=

usage() {
    cat <<END
usage: sh packaging/install-deps.sh [--print] build|run|test|package|bench...
  build    compiler, BPF tools and libraries
  run      the libraries that lorisd and loris load
  test     what \`make check\` needs, besides build
  package  what \`make deb\` and \`make rpm\` need, besides build, and the tests of their results
  bench    what \`make bench\` needs, besides build
  --print  print the packages, one a line; install nothing
LORIS_SKIP_DEPS=1 in the environment: do nothing, everything is there already.
END
}

say() {
    echo "loris: $*" >&2
}

give_up() {
    say "$@"
    exit 1
}

packages_of() {
    for group in "$@"; do
        case $group in
        build) echo "$BUILD_PACKAGES" ;;
        run) echo "$RUN_PACKAGES" ;;
        test) echo "$TEST_PACKAGES" ;;
        package) echo "$PACKAGE_PACKAGES" ;;
        bench) echo "$BENCH_PACKAGES" ;;
        esac
    done | tr -s ' ' '\n' | sed '/^$/d' | LC_ALL=C sort -u
}

# Those of the arguments that dpkg does not have; names without a package are missing too.
missing_of() {
    # shellcheck disable=SC2016 # dpkg-query's variables, not the shell's
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        sed -n 's/ installed$//p') || true
    for package in "$@"; do
        printf '%s\n' "$installed" | grep -qxF -- "$package" || echo "$package"
    done
}

# A package's postinst asks policy-rc.d before it starts its service; 101 means no. A policy that
# the administrator has written stays, one that a killed run of ours left behind is ours.
forbid_services() {
    if [ -e "$POLICY" ] && ! grep -qF "$POLICY_MARK" "$POLICY"; then
        return
    fi
    printf '#!/bin/sh\n# %s; safe to remove\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 755 "$POLICY"
}

tidy() {
    if [ -e "$POLICY" ] && grep -qF "$POLICY_MARK" "$POLICY"; then
        rm -f "$POLICY"
    fi
    [ -z "$log" ] || rm -f "$log"
}

# Policy prevents the start now, this prevents it at the next boot. Only for what came in just now:
# a service that was there before is its owner's business.
disable_new_services() {
    for service in $TEST_SERVICES; do
        if printf '%s\n' "$@" | grep -qxF -- "$service"; then
            update-rc.d "$service" disable >>"$log" 2>&1 || true
        fi
    done
}

# Runs apt-get with its many lines kept for the case that it fails.
run_apt() {
    if apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        "$@" >>"$log" 2>&1 </dev/null; then
        return
    fi
    tail -n 25 "$log" >&2
    give_up "apt-get $1 failed, see above; loris itself has changed nothing"
}

install_missing() {
    if ! command -v apt-get >/dev/null 2>&1; then
        say "missing: $*"
        give_up "there is no apt-get; install these with apt-get on a Debian 12 or newer"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        say "missing: $*"
        give_up "installing them needs root: sudo sh packaging/install-deps.sh $groups"
    fi
    log=$(mktemp)
    trap tidy EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    forbid_services
    say "installing $# packages and what they depend on; this takes a minute or two"
    say "$*"
    run_apt update
    run_apt install --no-install-recommends "$@"
    disable_new_services "$@"
    say "installed"
}

print=
groups=
for word in "$@"; do
    case $word in
    build | run | test | package | bench) groups="${groups:+$groups }$word" ;;
    --print) print=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done
if [ -z "$groups" ]; then
    usage >&2
    exit 2
fi

# shellcheck disable=SC2086 # lists of words
packages=$(packages_of $groups)
if [ -n "$print" ]; then
    printf '%s\n' "$packages"
    exit 0
fi
if [ "${LORIS_SKIP_DEPS:-}" = 1 ]; then
    exit 0
fi
if ! command -v dpkg-query >/dev/null 2>&1; then
    say "this is not a Debian system; loris needs what these Debian packages hold:"
    # shellcheck disable=SC2086
    say $packages
    give_up "once they are here, set LORIS_SKIP_DEPS=1 and try again"
fi
# shellcheck disable=SC2086
missing=$(missing_of $packages)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    install_missing $missing
fi
