# What the scenarios share: a site of their own, real servers on free ports, and steps that are checked.
set -euo pipefail

agent=$(realpath "${1:?path of the desired-state program}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
site=$(mktemp -d)
chmod 755 "$site"
started=()
finish() {
  local status=$?
  for process in "${started[@]}"; do kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true; done
  [ $status = 0 ] || tail -n 5 "$site"/*.log 2>/dev/null || true
  rm -rf "$site"
  exit $status
}
trap finish EXIT
cd "$site"
unset SSL_CERT_FILE SSL_CERT_DIR GIT_SSL_CAINFO CURL_CA_BUNDLE https_proxy http_proxy
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1

say() { printf '%s\n' "$*"; }
fail() { printf 'The scenario broke: %s\n' "$*" >&2; exit 1; }

# Runs a command that must end with a status; its output is in ./output.
ends() {
  local wanted=$1 status=0
  shift
  "$@" > output 2>&1 || status=$?
  [ "$status" = "$wanted" ] || { cat output >&2; fail "status $status in place of $wanted: ${*//$agent/desired-state}"; }
}
says() { grep -qF -- "$1" output || { cat output >&2; fail "no word of '$1'"; }; }
holds() { grep -qF -- "$1" "$2" || fail "'$1' is not in $2"; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Starts a server and waits until its port answers.
serve() {
  local port=$1 log=$2
  shift 2
  "$@" < /dev/null > "$log.log" 2>&1 &
  started+=($!)
  server=$!
  python3 - "$port" $! <<'PYTHON' || fail "$1 does not serve: $(tail -n 3 "$log.log")"
import os, socket, sys, time
for _ in range(600):
    try: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close(); sys.exit()
    except OSError: os.kill(int(sys.argv[2]), 0); time.sleep(0.05)
sys.exit(1)
PYTHON
}
stop() {
  kill "$1"
  wait "$1" 2>/dev/null || true
}

# nginx NAME PORT BLOCK: what stands in its server block.
nginx_on() {
  mkdir -p "$1.tmp"
  cat > "$1.conf" <<NGINX
daemon off; master_process off; pid $site/$1.pid; $([ "$(id -u)" = 0 ] && echo "user root;")
events { worker_connections 64; }
http {
  access_log $site/$1.access; default_type application/octet-stream; types { application/json json; }
  client_body_temp_path $site/$1.tmp; proxy_temp_path $site/$1.tmp; fastcgi_temp_path $site/$1.tmp;
  uwsgi_temp_path $site/$1.tmp; scgi_temp_path $site/$1.tmp;
  server { listen 127.0.0.1:$2 ssl http2; ssl_protocols TLSv1.3; $3 }
}
NGINX
  serve "$2" "$1" "$(command -v nginx || echo /usr/sbin/nginx)" -c "$site/$1.conf" -e stderr
}

# authority NAME; certificate NAME AUTHORITY [SUBJECT-ALT-NAME]
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.pem" -days 30 \
    -subj "/CN=$1" -addext keyUsage=critical,keyCertSign 2> /dev/null
}
certificate() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2> /dev/null
  echo "subjectAltName=${3:-IP:127.0.0.1}" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.pem" 2> /dev/null
}

# The publisher's key, and the file by which devices trust it.
keys() {
  ssh-keygen -q -t ed25519 -N '' -C ops@plant.example -f ops-key
  ssh-keygen -q -t ed25519 -N '' -C stranger@elsewhere.example -f stranger-key
  echo "ops@plant.example namespaces=\"desired-state,git,desired-state-trust\" $(cat ops-key.pub)" > allowed_signers
}

# document NAME RELEASE
document() {
  mkdir -p wanted
  printf 'kind: ApplicationDeployment\nmetadata:\n  name: %s\nspec:\n  revision: %s\n' "$1" "$2" > "wanted/$1.yaml"
}

publish() { "$agent" publish wanted --key ops-key "$@" > /dev/null; }
# The device looks once: look STATUS SOURCE… OPTIONS…
look() {
  local wanted=$1
  shift
  ends "$wanted" "$agent" follow "$@" --store store --into apps --once --json --device press-42 --start-spread 0s
}
