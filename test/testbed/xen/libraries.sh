#!/bin/bash
# libraries.sh TREE FILE... - copies the shared libraries that the programs need into a file system's tree.
set -euo pipefail
tree=${1:?usage: libraries.sh TREE FILE...}
shift
# The loader's own search, with the build's RUNPATH; what is named by no path is the kernel's.
for file in "$@"; do ldd "$file" 2>/dev/null || true; done |
  awk '$2 == "=>" && $3 ~ /^\// {print $1, $3} $1 ~ /^\/lib64/ {print $1, $1} / not found/ {print "missing", $1 > "/dev/stderr"; exit 1}' |
  sort -u | while read -r name path; do
    case $name in
      /lib64/*) to=$tree$name ;;
      *) to=$tree/lib/x86_64-linux-gnu/$name ;;
    esac
    mkdir -p "$(dirname "$to")"
    [[ -e $to ]] || cp -L "$path" "$to"
  done
