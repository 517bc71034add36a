#!/bin/sh
# Starts the launcher for this machine, which lies beside the file that this is a link to. Each program
# that a script runs takes longer than the launcher itself, so it runs none if it can.
set -eu
self=$0
case $self in */*) ;; *) self=./$self ;; esac
[ ! -h "$self" ] || self=$(readlink -f "$self")
# Linux 6.1 and later.
{ read -r machine </proc/sys/kernel/arch; } 2>/dev/null || machine=$(uname -m)
case $machine in
  x86_64) machine=x64 ;;
  aarch64) machine=arm64 ;;
esac
launcher=${self%/*}/native/linux-$machine/invoke_ns
if [ ! -x "$launcher" ]; then
  echo "invoke_ns: $launcher: not built; install a C compiler and run npm run build" >&2
  exit 125
fi
exec "$launcher" "$@"
