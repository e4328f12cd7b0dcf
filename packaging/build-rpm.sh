#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the RPM package of this tree from a copy of it.
#   build-rpm.sh VERSION FOLDER
set -eu
cd -- "$(dirname -- "$0")/.."
version=$1
mkdir -p "$2"
folder=$(cd -- "$2" && pwd)
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that called: the copy is built by its own rules
rm -rf "$folder/SOURCES" "$folder/BUILD" "$folder/BUILDROOT" "$folder"/*.rpm
sh packaging/export-tree.sh "$folder/SOURCES/loris-$version"
tar -c -z -C "$folder/SOURCES" -f "$folder/SOURCES/loris-$version.tar.gz" "loris-$version"
# What it is built with may come from another packager than rpm: Debian's libraries, for one.
nodeps=
rpm -q rpm >/dev/null 2>&1 || nodeps=--nodeps
log=$folder/build.log
# shellcheck disable=SC2086 # an option or nothing
if ! nice rpmbuild -bb $nodeps --define "_topdir $folder" --define "_rpmdir $folder" \
    --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "version_of_tree $version" packaging/loris.spec >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "loris: rpmbuild failed; all it said is in $log" >&2
    exit 1
fi
rm -rf "$folder/SOURCES" "$folder/BUILD" "$folder/BUILDROOT" "$folder/SPECS" "$folder/SRPMS"
ls "$folder"/*.rpm
