#!/usr/bin/env bash
# The streaming path under load, in a local cloud of its own: does it reconcile, how soon is an event in its table, does
# memory stay flat. Prints Markdown.
#
#   PINFRA=target/release/pinfra benches/streaming.sh reconcile 20000     # so many events, then the counts
#   PINFRA=target/release/pinfra benches/streaming.sh latency 200 100     # events a second, probes a table
#   PINFRA=target/release/pinfra benches/streaming.sh memory 200 600      # events a second, seconds
#
# Needs python3 to read JSON and, for `memory`, Linux.
set -euo pipefail
pinfra=$(realpath "${PINFRA:-target/debug/pinfra}")
work=$(mktemp -d)
stop() {
  "$pinfra" --state "$work/state" --quiet down >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap stop EXIT

# The stack under test: `stack RATE [COUNT]`.
stack() {
  cat >"$work/stack.yaml" <<YAML
name: bench
tables: { pin: { key: index }, geo: { key: ind }, user: { key: ind } }
streams: { shards: 1 }
api: {}
lake: {}
client: {}
workers:
  emulator: { source: sample, rate: $1, burst: 50${2:+, count: $2} }
  cleaner: { streaming: true }
YAML
}
run() { "$pinfra" --state "$work/state" "$@"; }
now() { date +%s.%N; }

reconcile() {
  stack "${2:-1000}" "$1"
  run --quiet up "$work/stack.yaml" >/dev/null
  started=$(now)
  until run --json status >"$work/status.json" && python3 - "$work/status.json" "$1" <<'PY'; do sleep 1; done
import json, sys
events = json.loads(open(sys.argv[1]).readline())["events"]
emitted = sum(e["counts"]["emitted"] for e in events)
sys.exit(0 if emitted == int(sys.argv[2]) and all(e["verdict"] == "reconciles" for e in events) else 1)
PY
  echo "reconciled $(python3 -c "print(round($(now) - $started, 1))") s after up"
  run status | sed -n '/^events/,$p'
  for table in pin geo user; do
    run query --sql "select '$table' as table, count(*) as rows_in_delta from \"$table\"" --format csv | tail -1
  done
}

latency() {
  stack "$1"
  run --quiet up "$work/stack.yaml" >/dev/null
  sleep 10
  for _ in $(seq "$2"); do run --json verify >>"$work/probes.ndjson"; done
  python3 - "$work/probes.ndjson" "$1" <<'PY'
import json, sys
probes = [t for line in open(sys.argv[1]) for t in json.loads(line)["tables"]]
def at(name, p):
    values = sorted(t[name] for t in probes)
    return values[min(len(values) - 1, int(len(values) * p))]
print(f"{len(probes)} probes among {sys.argv[2]} events/s, milliseconds after the POST was sent\n")
print("| | p50 | p90 | p99 | max |\n|---|--:|--:|--:|--:|")
for name in ["accepted_ms", "read_ms", "committed_ms"]:
    print(f"| {name[:-3]} | {at(name, .5)} | {at(name, .9)} | {at(name, .99)} | {at(name, 1)} |")
PY
}

# The process of a worker on a machine of the local cloud: `pid_of INSTANCE WORKER`.
pid_of() {
  local file pid
  for file in /proc/[0-9]*/environ; do
    grep -sqz "^PINFRA_INSTANCE=$1\$" "$file" || continue
    pid=${file#/proc/} pid=${pid%/environ}
    if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q " worker $2 --config"; then
      echo "$pid"
      return
    fi
  done
  return 1
}

memory() {
  stack "$1"
  run --quiet up "$work/stack.yaml" >/dev/null
  instance=$(run outputs --show client_instance)
  echo "| second | agent | cleaner | emulator | local cloud | events |"
  echo "|--:|--:|--:|--:|--:|--:|"
  cloud=$(python3 -c "import json; print(json.load(open('$work/state/local/server.json'))['pid'])")
  SECONDS=0
  while :; do
    second=$SECONDS
    events=$(run --json status | python3 -c "import json,sys; print(sum(e['counts']['read'] for e in json.loads(sys.stdin.readline())['events']))" || echo "?")
    line="| $second"
    for worker in agent cleaner emulator; do
      pid=$(pid_of "$instance" "$worker")
      line="$line | $(awk '/^VmRSS/ {printf "%.0f MiB", $2 / 1024}' "/proc/$pid/status")"
    done
    echo "$line | $(awk '/^VmRSS/ {printf "%.0f MiB", $2 / 1024}' "/proc/$cloud/status") | $events |"
    [ "$second" -lt "$2" ] || break
    sleep 30
  done
}

"$@"
