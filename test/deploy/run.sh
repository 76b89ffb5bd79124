#!/bin/sh
# `npm run test:deploy`: makes once what several of its tests need, two versions of the Debian
# package and the files of a bare Debian, then runs them. Arguments: files of tests, or none for all.
#
# MEMSLAB_DEBIAN_ROOT names a folder with such files, made by debootstrap before: it saves minutes.
set -eu
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 0.4.0-1 0.4.1-1; do
  node scripts/build-deb.ts --level 0 --to "$folder" --version $version
done
if [ -z "${MEMSLAB_DEBIAN_ROOT:-}" ]; then
  MEMSLAB_DEBIAN_ROOT=$folder/root
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,libatomic1 bookworm "$MEMSLAB_DEBIAN_ROOT" >/dev/null
fi
export MEMSLAB_DEBIAN_ROOT
export MEMSLAB_DEPLOY="$folder"
[ $# -gt 0 ] || set -- test/deploy/*.test.ts
tap run --disable-coverage --jobs=2 --timeout=900 "$@"
