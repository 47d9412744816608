#!/bin/sh
# Installs the Debian packages the build and the tests need, if any is missing.
set -eu
packages="re2c lemon pkg-config libsqlite3-dev libcurl4-openssl-dev libffi-dev libssl-dev libmpfr-dev libutf8proc-dev openssl"
[ "${1:-}" = bench ] && packages="$packages lua5.4 luajit"
[ "${1:-}" = check ] && packages="$packages clang libclang-rt-14-dev"
missing=""
for p in $packages; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
