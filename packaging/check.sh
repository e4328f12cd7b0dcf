#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# From a minimal Debian 12 to all tests passed: packages, build, tests. As root.
# Arguments go to make, e.g. V=1.
set -eu
cd -- "$(dirname -- "$0")/.."
if [ "$(id -u)" -ne 0 ]; then
    echo "loris: the tests load BPF programs, which needs root: sudo sh packaging/check.sh" >&2
    exit 1
fi
PATH=$PATH:/usr/sbin:/sbin
sh packaging/install-deps.sh build run test package
make -j"$(nproc)" "$@"
exec make "$@" check
