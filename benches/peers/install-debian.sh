#!/bin/sh
# Installs the Debian packages the peers need to build: RocksDB is compiled
# from source (C++ compiler, make, cmake) and bound with bindgen (libclang);
# SQLite is compiled from source (C compiler). Safe to run again.
set -eu

packages="build-essential clang cmake libclang-dev pkg-config"

missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done

if [ -z "$missing" ]; then
    echo "install-debian.sh: everything is already installed"
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "install-debian.sh: run as root to install:$missing" >&2
    exit 1
fi

echo "install-debian.sh: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update
# The list is split into words on purpose.
# shellcheck disable=SC2086
apt-get install -y --no-install-recommends $missing
