#!/usr/bin/env bash
# The gateway under load, in a local cloud of its own: requests a second, latency, CPU a request, memory.
#
#   cargo build --release && PINFRA=target/release/pinfra benches/gateway.sh [REQUESTS] [CONNECTIONS]
#
# The gateway is deployed as on AWS: it speaks to the brokers over TLS with its role's token, and all in-sync replicas
# acknowledge. The load comes from one thread of another process, with the secret, past API Gateway. Needs Linux.
set -euo pipefail
pinfra=$(realpath "${PINFRA:-target/release/pinfra}")
requests=${1:-500000} connections=${2:-32}
work=$(mktemp -d)
stop() {
  "$pinfra" --state "$work/state" --quiet down --yes >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap stop EXIT

cat >"$work/stack.yaml" <<YAML
name: bench
tables: { pin: { key: index } }
cluster: { partitions: 3 }
api: {}
lake: {}
client: {}
workers:
  gateway: { port: 8082 }
YAML
"$pinfra" --state "$work/state" --quiet up --yes "$work/stack.yaml" >/dev/null
instance=$("$pinfra" --state "$work/state" outputs --show client_instance)

# The gateway's process on the machine of the stack.
pid=
for file in /proc/[0-9]*/environ; do
  grep -sqz "^PINFRA_INSTANCE=$instance\$" "$file" || continue
  candidate=${file#/proc/} candidate=${candidate%/environ}
  if tr '\0' ' ' 2>/dev/null <"/proc/$candidate/cmdline" | grep -q " worker gateway --config"; then pid=$candidate; fi
done
[ -n "$pid" ] || { echo "the gateway does not run" >&2; exit 1; }
address=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^PINFRA_ADDRESS=//p')

# Its secret, from its configuration into a file of ours: arguments can be seen by all users.
config=$(tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n '/^--config$/{n;p;}')
(umask 077 && cd "/proc/$pid/cwd" && python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get("secret") or "")' "$config" >"$work/secret")

cargo bench --workspace --bench gateway_load -- "${address:-127.0.0.1}:8082" /topics/bench.pin \
  --requests "$requests" --connections "$connections" --pid "$pid" --secret "$work/secret"
