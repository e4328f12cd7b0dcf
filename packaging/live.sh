#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the agent that was just built on the shipped configuration and shows a live table, until q or
# Ctrl-C; then everything is stopped and detached. For `make run`.
#   live.sh LORISD LORIS CONFIG
set -eu
lorisd=$1
loris=$2
config=$3
if [ "$(id -u)" -ne 0 ]; then
    echo "loris: loading BPF programs needs root: sudo make run" >&2
    exit 4
fi
folder=$(mktemp -d)
socket=$folder/loris.sock
"$lorisd" --config "$config" --socket "$socket" &
agent=$!
stop() {
    kill "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 0' INT # one of the two ways out of the table
trap 'exit 1' TERM HUP
tries=0
until "$loris" --socket "$socket" status --json >/dev/null 2>&1; do
    kill -0 "$agent" 2>/dev/null || exit 1
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "loris: the agent does not answer" >&2; exit 1; }
    sleep 0.05
done
# What was refused stands above; leave it time to be read before the table takes the screen.
[ ! -t 1 ] || sleep 2
"$loris" --socket "$socket" top || [ "$?" -eq 130 ]
