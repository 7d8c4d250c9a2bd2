# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every script here shares: the root of the tree, messages, timing.
# Source it first:   . "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
set -euo pipefail
export LC_ALL=C.UTF-8

MLOS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck disable=SC2034  # for the scripts that source this
MLOS_SCRIPTS=$MLOS_ROOT/scripts

# /usr/sbin is not in every user's PATH; nginx and policy tools live there.
case ":$PATH:" in
  *:/usr/sbin:*) ;;
  *) PATH=$PATH:/usr/sbin:/sbin ;;
esac

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# elapsed SECONDS -> "7s" or "3m07s"
elapsed() {
  if (($1 < 60)); then printf '%ds' "$1"; else printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); fi
}

# stage TITLE COMMAND...: one line before, one after with the time it took.
# The command runs in this shell, so `set -e` inside a function given here is off:
# give commands that return their status.
stage() {
  local title=$1 start=$SECONDS rc=0
  shift
  say "==> $title"
  "$@" || rc=$?
  if ((rc == 0)); then
    say "==> $title: done in $(elapsed $((SECONDS - start)))"
  else
    say "==> $title: FAILED after $(elapsed $((SECONDS - start)))"
  fi
  return "$rc"
}

# How many compilers at once: one for each core, but none without 1.5 GB of memory,
# which the heaviest file takes.
build_jobs() {
  local cores memory_mb
  cores=$(nproc)
  memory_mb=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
  local most=$((memory_mb / 1500))
  ((most >= 1)) || most=1
  say "${MLOS_JOBS:-$((cores < most ? cores : most))}"
}

# The interpreter for the tools in scripts/lib, which need its standard library only.
# A version manager's python3 in PATH may be an empty shell.
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
      say "$candidate"
      return
    fi
  done
  die "python3 (3.9 or newer) was not found; run scripts/deps"
}

# The build folder of a preset, as CMakePresets.json has it.
build_dir() {
  if [[ $1 == release ]]; then say "$MLOS_ROOT/build"; else say "$MLOS_ROOT/build/$1"; fi
}

# The comment that heads the calling script is its help.
print_help() { sed -n '/^#$/,/^[^#]/ {/^#/ s/^# \{0,1\}//p}' "$0"; }

# summarise_ctest LOG: ctest's closing line as "N passed, N failed".
summarise_ctest() {
  awk '/% tests passed, [0-9]+ tests? failed out of [0-9]+/ {failed = $4; total = $NF}
       END {printf "%d passed, %d failed\n", total - failed, failed}' "$1"
}
