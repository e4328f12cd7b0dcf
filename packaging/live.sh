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
# What the agent says would end up in the middle of the table.
"$lorisd" --config "$config" --socket "$socket" 2>"$folder/said" &
agent=$!
told=0
tell() {
    tail -n "+$((told + 1))" "$folder/said" >&2
    told=$(wc -l <"$folder/said")
}
stop() {
    kill "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
    tell
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
tell
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    sleep 2 # what was refused stands above: time to read it before the table takes the screen
    "$loris" --socket "$socket" top
else
    while "$loris" --socket "$socket" top --once; do
        sleep 1
    done
fi
