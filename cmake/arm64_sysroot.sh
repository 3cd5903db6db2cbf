#!/bin/sh
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
#
# arm64_sysroot.sh FOLDER: puts Debian's arm64 packages of the libraries that skep links into FOLDER.
# apt runs with its own configuration, state and cache inside FOLDER: nothing of the machine changes,
# and no foreign architecture is added to it. Does nothing if FOLDER is complete.
set -eu

PACKAGES="libelf-dev libelf1 libdw-dev libdw1 libfmt-dev libfmt9 libasmjit-dev zlib1g-dev zlib1g
 liblzma-dev liblzma5 libbz2-1.0 libgtest-dev libgmock-dev"

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
[ "$(cat packages 2>/dev/null)" != "$PACKAGES" ] || exit 0

rm -rf apt root packages
mkdir -p apt/state/lists/partial apt/cache/archives/partial root
: >apt/status
cat >apt/apt.conf <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Debug::NoLocking "1";
Dir::State "$PWD/apt/state";
Dir::State::status "$PWD/apt/status";
Dir::Cache "$PWD/apt/cache";
END
export APT_CONFIG="$PWD/apt/apt.conf"
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
(cd apt/cache && apt-get download -qq $PACKAGES)
for package in apt/cache/*.deb; do
    dpkg-deb -x "$package" root
done
rm -rf apt
echo "$PACKAGES" >packages
