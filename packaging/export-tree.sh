#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copies what a package is built from, without what builds and editors leave in between.
#   export-tree.sh FOLDER
set -eu
cd -- "$(dirname -- "$0")/.."
mkdir -p "$1"
tar -c --exclude='*.o' --exclude='*.d' --exclude='*~' --exclude='.*.sw?' --exclude=__pycache__ \
    Makefile README.md LICENSE bpf include packaging user vmlinux | tar -x -C "$1"
