#!/bin/sh
# Starts the launcher for this machine, which lies beside the file that this is a link to.
set -eu
self=$(readlink -f "$0")
case $(uname -m) in
  x86_64) machine=x64 ;;
  aarch64) machine=arm64 ;;
  *) machine=$(uname -m) ;;
esac
launcher=${self%/*}/native/linux-$machine/invoke_ns
if [ ! -x "$launcher" ]; then
  echo "invoke_ns: $launcher: not built; install a C compiler and run npm run build" >&2
  exit 125
fi
exec "$launcher" "$@"
