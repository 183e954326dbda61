#!/bin/bash
# build.sh OUT.elf - builds the flat guest. Freestanding 32-bit code, so plain gcc and binutils do: no multilib, no libc.
set -euo pipefail
out=${1:?usage: build.sh OUT.elf}
here=$(cd "$(dirname "$0")" && pwd)
object=$(mktemp --suffix=.o)
trap 'rm -f "$object"' EXIT
gcc -m32 -march=i686 -O2 -std=gnu11 -Wall -Wextra -Wno-unused-function -ffreestanding -fno-pie -fno-stack-protector -fno-strict-aliasing \
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -mno-sse -mno-mmx -c "$here/flat.c" -o "$object"
ld --no-warn-rwx-segments -m elf_i386 -T "$here/flat.ld" -o "$out" "$object"
