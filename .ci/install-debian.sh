#!/usr/bin/env bash
# Installs the Debian packages that a default build and its tests need and that are missing.
#
# A C compiler, which Rust links with and which compiles the allocator of the load harness (mimalloc); and what makes and
# checks file systems and attaches loop devices, for the tests that cut the power of a disk (e2fsprogs, mount).
# Nothing else: no protoc, no libclang, no OpenSSL. (benches/peers needs libclang for RocksDB; CI does not build it.)
set -euo pipefail

packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
PATH=$PATH:/usr/sbin:/sbin
command -v mkfs.ext4 >/dev/null || packages+=(e2fsprogs)
command -v losetup >/dev/null || packages+=(mount)

if [ "${#packages[@]}" -eq 0 ]; then
    echo "nothing to install"
    exit 0
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo --non-interactive)
"${as_root[@]}" apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}"
