#!/usr/bin/env bash
# The programs that end-to-end tests need, from Debian. Without one of them its tests say so and are skipped, but not in CI.
set -euo pipefail
missing=()
command -v curl >/dev/null || missing+=(curl)
command -v go >/dev/null || missing+=(golang-go)
command -v h2load >/dev/null || missing+=(nghttp2-client)
command -v haproxy >/dev/null || missing+=(haproxy)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v ip >/dev/null || test -x /usr/sbin/ip || missing+=(iproute2)
test -x /usr/sbin/mosquitto || command -v mosquitto >/dev/null || missing+=(mosquitto)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then echo "as root: apt-get install ${missing[*]}" >&2; exit 1; fi
  apt-get update -q >/dev/null
  # As in single-user mode: what is installed isn't started. The tests start their own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi
# From the Go proxy: no distribution has it.
if ! command -v h2spec >/dev/null; then
  GOBIN=/usr/local/bin go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
fi
