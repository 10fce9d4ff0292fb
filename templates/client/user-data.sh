#!/bin/sh
# The client machine of a pinfra stack: fetches pinfra from the lake bucket and keeps its agent running.
#
# It runs as root at a machine's first boot. With PINFRA_ROOT set, as in the local cloud, everything stays below that
# folder and the agent runs below this script; otherwise a systemd unit is installed. It may run any number of times.
# What it does goes to the console. Keys never stand in arguments, which every user of a machine can see.
set -eu
umask 077

bucket='@BUCKET@'
region='@REGION@'

root="${PINFRA_ROOT:-}"
programs="$root/opt/pinfra/bin"
config="$root/etc/pinfra/agent.json"
state="$root/var/lib/pinfra"
imds="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}"
imds="${imds%/}"
case "$region" in cn-*) suffix=.cn ;; *) suffix='' ;; esac
s3="${AWS_ENDPOINT_URL_S3:-${AWS_ENDPOINT_URL:-https://s3.$region.amazonaws.com$suffix}}"
s3="${s3%/}"

say() { printf 'pinfra: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

check_tools() {
  for tool in curl gunzip sed; do
    command -v "$tool" >/dev/null 2>&1 || fail "\`$tool\` is missing: install it, or use an image that has it"
  done
  command -v sha256sum >/dev/null 2>&1 || command -v shasum >/dev/null 2>&1 ||
    fail "neither \`sha256sum\` nor \`shasum\` is there: install one of them"
  version=$(curl --version | sed -n '1s/^curl \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
  # 7.86 is the first that signs all headers that S3 wants signed, such as the session token.
  # shellcheck disable=SC2086 # two words on purpose
  set -- ${version:-0 0}
  if [ "$1" -lt 7 ] || { [ "$1" -eq 7 ] && [ "$2" -lt 86 ]; }; then
    fail "curl $1.$2 is too old: 7.86 or newer is needed to sign requests (Ubuntu 24.04 has it)"
  fi
}

# The value of a text field of flat JSON: keys, tokens, paths and hashes, none of which has a quote in it.
field() { sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\\([^\"]*\\)\".*/\\1/p" | sed -n 1p; }

quiet() { curl --silent --show-error --fail --connect-timeout 3 "$@"; }

# A path of the instance metadata service (IMDSv2); its token goes in by a configuration on standard input.
metadata() {
  token=$(quiet --max-time 5 --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/latest/api/token") || return 1
  printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" | quiet --max-time 5 --config - "$imds/latest/meta-data/$1"
}

# Brings an object of the bucket to a file, with the keys of the machine's role.
object() {
  role=$(metadata iam/security-credentials/ | sed -n 1p) || return 1
  [ -n "$role" ] || return 1
  keys=$(metadata "iam/security-credentials/$role") || return 1
  id=$(printf '%s\n' "$keys" | field AccessKeyId)
  secret=$(printf '%s\n' "$keys" | field SecretAccessKey)
  session=$(printf '%s\n' "$keys" | field Token)
  [ -n "$id" ] && [ -n "$secret" ] || return 1
  {
    printf 'user = "%s:%s"\n' "$id" "$secret"
    if [ -n "$session" ]; then printf 'header = "x-amz-security-token: %s"\n' "$session"; fi
    # Of no bytes, which is what a GET sends.
    printf 'header = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"\n'
  } | curl --silent --show-error --fail-with-body --connect-timeout 3 --max-time 600 --config - \
    --aws-sigv4 "aws:amz:$region:s3" --output "$2" "$s3/$bucket/$1" && return
  # S3 says in its answer what is wrong.
  if [ -f "$2" ]; then say "S3 says $(sed -n 's/.*<Code>\(.*\)<\/Code>.*/\1/p' "$2")"; fi
  rm -f "$2"
  return 1
}

# A role that was made just now is not known everywhere at once, and a bucket may still be filled: it is tried again.
fetch() {
  pause=1
  until object "$1" "$2"; do
    say "$1 is not to be had yet (the line above says why); trying again in $pause s"
    sleep "$pause"
    if [ "$pause" -lt 16 ]; then pause=$((pause * 2)); fi
  done
}

# The SHA-256 of standard input.
sha256() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# Sets `program` to the file of the program that the stack wants now.
install_program() {
  new="$programs/new"
  fetch _pinfra/agent.json "$new.json"
  key=$(field key <"$new.json")
  sha=$(field sha256 <"$new.json")
  rm -f "$new.json"
  case "$sha" in
    *[!0-9a-f]* | '') fail "_pinfra/agent.json of the bucket $bucket does not name a program" ;;
  esac
  program="$programs/$sha"
  if [ -x "$program" ]; then return; fi
  say "fetching $key"
  fetch "$key" "$new.gz"
  # In one go, since it is large. The hash tells if gunzip fails; that all of it was written, tee has to say.
  rm -f "$new.written"
  found=$(gunzip -c "$new.gz" | { tee "$new" && : >"$new.written"; } | sha256)
  rm -f "$new.gz"
  [ -f "$new.written" ] || fail "$new cannot be written: is the disk full?"
  rm -f "$new.written"
  [ "$found" = "$sha" ] || fail "$key is not what was deployed: its SHA-256 is $found"
  chmod 755 "$new"
  mv -f "$new" "$program"
  say "installed $program"
}

write_config() {
  pause=1
  until instance=$(metadata instance-id); do
    say "the instance metadata service at $imds does not answer; trying again in $pause s"
    sleep "$pause"
  done
  printf '{"bucket":"%s","region":"%s","instance":"%s","folder":"%s"}\n' "$bucket" "$region" "$instance" "$state" >"$config.new"
  mv -f "$config.new" "$config"
}

# A real machine: systemd keeps the agent running, as a user that may write to its own folder and nowhere else.
run_by_systemd() {
  id pinfra >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /var/lib/pinfra --shell /usr/sbin/nologin pinfra
  chmod 755 /opt/pinfra /opt/pinfra/bin /etc/pinfra
  chmod 644 "$config"
  ln -sfn "$program" /opt/pinfra/pinfra
  cat >/etc/systemd/system/pinfra.service <<UNIT
[Unit]
Description=pinfra agent: runs the workers of a stack
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
User=pinfra
ExecStart=$program worker agent --config $config
Environment=AWS_REGION=$region
Restart=always
RestartSec=1
TimeoutStopSec=10
StateDirectory=pinfra
StateDirectoryMode=0700
LimitNOFILE=65536
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
UNIT
  chmod 644 /etc/systemd/system/pinfra.service
  systemctl daemon-reload
  systemctl enable pinfra.service
  systemctl restart pinfra.service
  say "the agent runs as the service pinfra"
}

# A machine of the local cloud has no systemd: this script starts an agent again that was killed.
run_here() {
  stopping=
  agent=
  trap 'stopping=1; if [ -n "$agent" ]; then kill -TERM "$agent" 2>/dev/null || :; fi' TERM INT HUP
  while [ -z "$stopping" ]; do
    "$program" worker agent --config "$config" &
    agent=$!
    code=0
    wait "$agent" || code=$?
    # A signal ends the wait; the agent takes a moment longer.
    while kill -0 "$agent" 2>/dev/null; do wait "$agent" || code=$?; done
    if [ -z "$stopping" ]; then
      say "the agent ended ($code); starting it again in 1 s"
      sleep 1
    fi
  done
  say "the agent has ended"
}

check_tools
mkdir -p "$programs" "${config%/*}" "$state"
write_config
install_program
if [ -z "$root" ]; then run_by_systemd; else run_here; fi
