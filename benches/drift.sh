#!/usr/bin/env bash
# What a drift check costs where nothing differs: of the whole pipeline (stacks/pinterest.yaml) and of a stack of so many
# streams, each without and with 50 ms that are added to every request. Prints a table: requests, seconds on the clock, CPU
# seconds (user and system), the most memory that was resident; the median of five runs.
#
#     cargo build --release && PINFRA=target/release/pinfra benches/drift.sh [STREAMS]
#
# STREAMS is 30 by default. Needs bash and GNU time; works in a temporary folder, in a local cloud of its own, and leaves
# nothing behind.
set -euo pipefail

pinfra=$(realpath "${PINFRA:?set PINFRA to the program, such as PINFRA=target/release/pinfra}")
repository=$(realpath "$(dirname "$0")/..")
streams=${1:-30}
runs=5

folder=$(mktemp -d)
cd "$folder"
trap '"$pinfra" local stop >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT

# once STACK: a drift of it; the seconds, CPU seconds and KB go to `times`. Fails where something differs.
once() {
    command time --quiet -f '%e %U %S %M' -o times timeout 60 "$pinfra" drift "$1" >out.log 2>err.log
}

# measure WHAT LATENCY STACK: prints a row of the table.
measure() {
    local requests deadline=$((SECONDS + 120))
    # A cloud that was just started has its machines to start, and says so.
    until once "$3"; do
        if ((SECONDS >= deadline)); then
            echo "\`pinfra drift $3\` tells no peace:" >&2
            cat out.log err.log >&2
            exit 1
        fi
    done
    "$pinfra" local calls --reset >/dev/null 2>&1
    once "$3"
    requests=$("$pinfra" local calls --json | grep -c '"by":"tool"')
    : >all
    for ((run = 0; run < runs; run++)); do
        once "$3"
        cat times >>all
    done
    awk -v what="$1" -v latency="$2" -v requests="$requests" '
        # The median of each column by itself.
        function median(values,    n, i, j, swap) {
            n = NR
            for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (values[j] < values[i]) {
                swap = values[i]; values[i] = values[j]; values[j] = swap
            }
            return values[int((n + 1) / 2)]
        }
        { wall[NR] = $1 + 0; cpu[NR] = $2 + $3; memory[NR] = $4 / 1024 }
        END { printf "| %-18s | %8d | %8d | %6.2f | %5.2f | %15.1f |\n",
                     what, latency, requests, median(wall), median(cpu), median(memory) }' all
}

cp -r "$repository/stacks" "$repository/templates" .
{
    echo "name: streams"
    echo "tables:"
    seq -f '  t%03g: { key: ind }' "$streams"
    echo "streams: { shards: 1 }"
} >streams.yaml

"$pinfra" local start >/dev/null 2>&1
"$pinfra" up --yes stacks/pinterest.yaml >up.log 2>&1 || { tail -5 up.log >&2; exit 1; }
"$pinfra" up --yes streams.yaml >up.log 2>&1 || { tail -5 up.log >&2; exit 1; }

echo "| stack              | added ms | requests | wall s | CPU s | most memory MiB |"
echo "|--------------------|---------:|---------:|-------:|------:|----------------:|"
for latency in 0 50; do
    if ((latency > 0)); then
        "$pinfra" local stop >/dev/null 2>&1
        "$pinfra" local start --latency "$latency" >/dev/null 2>&1
    fi
    measure "the whole pipeline" "$latency" stacks/pinterest.yaml
    measure "$streams streams" "$latency" streams.yaml
done
