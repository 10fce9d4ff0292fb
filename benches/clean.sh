#!/usr/bin/env bash
# Batch cleaning in release, over the S3 of a local cloud of its own: CPU time, memory, seconds. Prints Markdown.
#
#   benches/clean.sh large [1000000]    # so many rows in each of three tables, in objects of 50,000 records
#   benches/clean.sh small [100000]     # so many objects of one record
#   benches/clean.sh gzip  [1000000]    # as `large`, packed
#
# Needs Linux: it reads /proc.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  large | small | gzip) ;;
  *) sed -n '2,8p' "$0" && exit 2 ;;
esac
CLEAN_BENCH="$1" CLEAN_ROWS="${2:-}" cargo bench --workspace --bench clean
