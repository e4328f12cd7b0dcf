#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# From a minimal Debian 12 to loris running: packages, build, agent with a live table. As root.
# Arguments go to make, e.g. V=1.
set -eu
cd -- "$(dirname -- "$0")/.."
if [ "$(id -u)" -ne 0 ]; then
    echo "loris: loading BPF programs needs root: sudo sh packaging/run.sh" >&2
    exit 1
fi
PATH=$PATH:/usr/sbin:/sbin
sh packaging/install-deps.sh build run
make -j"$(nproc)" "$@"
exec make "$@" run
