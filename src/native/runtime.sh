#!/bin/sh
# jailbuild oci-runtime as a program of one word, for container engines.
set -eu
self=$0
case $self in */*) ;; *) self=./$self ;; esac
[ ! -h "$self" ] || self=$(readlink -f "$self")
exec "${self%/*}/jailbuild" oci-runtime "$@"
