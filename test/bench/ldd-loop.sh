#!/bin/sh
# The manual method: copies each library that ldd lists with cp -p. ldd-loop.sh JAIL PROGRAM...
set -eu
jail=$1
shift
for program in "$@"; do
  { echo "$program"; ldd "$program" | awk '/=> \// { print $3 } /^\t\// { print $1 }'; } |
    while read -r file; do
      mkdir -p "$jail${file%/*}"
      cp -p "$file" "$jail$file"
    done
done
mkdir -p "$jail/etc"
cp -p /etc/ld.so.cache "$jail/etc"
