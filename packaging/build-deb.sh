#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the Debian packages of this tree from a copy of it, which alone gets a debian/ folder.
#   build-deb.sh VERSION FOLDER
set -eu
cd -- "$(dirname -- "$0")/.."
version=$1
folder=$2
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that called: the copy is built by its own rules
copy=$folder/loris-$version
mkdir -p "$folder"
rm -rf "$copy" "$folder/loris"[-_]*[._]*
sh packaging/export-tree.sh "$copy"
cp -R packaging/debian "$copy/debian"
sed -i "1s/([^)]*)/($version)/" "$copy/debian/changelog"
log=$folder/build.log
if ! (cd "$copy" && exec nice dpkg-buildpackage --no-sign) >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "loris: dpkg-buildpackage failed; all it said is in $log" >&2
    exit 1
fi
rm -rf "$copy"
ls "$folder"/*.deb
