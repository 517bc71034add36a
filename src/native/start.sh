#!/bin/sh
# Starts the program for this machine that is called as the file that this is a link to, and lies beside
# it. Each program that a script runs takes longer than some of these, so it runs none if it can.
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
name=${self##*/}
directory=${self%/*}
program=$directory/native/linux-$machine/$name
[ ! -x "$program" ] || exec "$program" "$@"
# Node would replace a closed standard output by /dev/null, and lose the output.
{ true >&1; } 2>/dev/null || exec 1</dev/null
# The same command without a native front. The dashes keep Node from reading the file of --env-file.
[ "$name" != jailbuild ] || exec node -- "$directory/jailbuild.cjs" "$@"
echo "$name: $program: not built; install a C compiler and run npm run build" >&2
exit 125
