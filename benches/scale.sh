#!/usr/bin/env bash
# How time grows with the size of a stack: for each size, `up`, a `plan` without changes and `down` of so many streams in
# a local cloud of its own. Prints a table: seconds on the clock, CPU seconds (user and system) of the command, CPU
# seconds of the local cloud meanwhile.
#
#     cargo build --release && PINFRA=target/release/pinfra benches/scale.sh [SIZE …]
#
# Sizes are 250, 500, 1000 and 2000 by default. Needs bash and /proc, nothing else; works in a temporary folder, and each
# command may take ten minutes at most.
set -euo pipefail

pinfra=$(realpath "${PINFRA:?set PINFRA to the program, such as PINFRA=target/release/pinfra}")
sizes=("$@")
[ ${#sizes[@]} -gt 0 ] || sizes=(250 500 1000 2000)

folder=$(mktemp -d)
cd "$folder"
trap '"$pinfra" local stop >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT

ticks_a_second=$(getconf CLK_TCK)

# CPU seconds that the local cloud has used so far: fields 14 and 15 of its stat, counted behind the name in brackets.
cloud_seconds() {
    local pid stat
    pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' .pinfra/local/server.json)
    stat=$(<"/proc/$pid/stat")
    set -- ${stat##*) }
    awk -v ticks=$((${12} + ${13})) -v a_second="$ticks_a_second" 'BEGIN { printf "%.2f", ticks / a_second }'
}

# measure SIZE ARGUMENTS…: runs the program and prints a row of the table.
measure() {
    local size=$1 before after times
    shift
    before=$(cloud_seconds)
    TIMEFORMAT='%R %U %S'
    if ! times=$({ time timeout 600 "$pinfra" "$@" >out.log 2>err.log; } 2>&1); then
        echo "\`pinfra $*\` failed with $size streams:" >&2
        tail -5 err.log >&2
        exit 1
    fi
    after=$(cloud_seconds)
    read -r wall user system <<<"$times"
    awk -v size="$size" -v command="$1" -v wall="$wall" -v client="$user $system" -v before="$before" -v after="$after" '
        BEGIN { split(client, cpu, " ")
                printf "| %7d | %-7s | %8.2f | %12.2f | %11.2f |\n", size, command, wall, cpu[1] + cpu[2], after - before }'
}

echo "| streams | command |   wall s | client CPU s | cloud CPU s |"
echo "|--------:|---------|---------:|-------------:|------------:|"
for size in "${sizes[@]}"; do
    rm -rf .pinfra
    {
        echo "name: scale"
        echo "tables:"
        seq -f '  t%05g: { key: ind }' "$size"
        echo "streams: { shards: 1 }"
    } >stack.yaml
    # Started by name, it outlives `down` and its CPU time can be read.
    "$pinfra" local start >/dev/null 2>&1
    measure "$size" up stack.yaml
    measure "$size" plan stack.yaml --detailed-exitcode
    measure "$size" down
    "$pinfra" local stop >/dev/null 2>&1
done
