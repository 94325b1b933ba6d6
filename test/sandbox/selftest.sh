#!/bin/bash
# Tests that the sandbox does what README.md describes.  Requires bash, curl and
# openssl.  Uses $SANDBOX, if set, instead of ./impilo_sandbox.  The last line is
# "N passed, N failed"; the exit code is 0 if no test failed.
set -u
cd "$(dirname "$0")" || exit 1
server=${SANDBOX:-./impilo_sandbox}
tmp=$(mktemp -d)
pids=()
passed=0
failed=0
key='Impilo-API-Key: sandbox-key'
curl_opts=(-sS --no-progress-meter --noproxy '*' --max-time 20)

finish() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
	rm -rf "$tmp"
}
trap finish EXIT

# start NAME OPTION...: starts a server, and sets $NAME to its address
start() {
	local name=$1 i
	shift
	rm -f "$tmp/$name.url"
	"$server" --die-with-parent "$@" >"$tmp/$name.url" &
	pids+=($!)
	for ((i = 0; i < 100; i++)); do
		[ ! -s "$tmp/$name.url" ] || break
		sleep 0.1
	done
	printf -v "$name" %s "$(cat "$tmp/$name.url")"
}

ok() { passed=$((passed + 1)); }
not_ok() {
	failed=$((failed + 1))
	printf 'FAILED: %s\n' "$1"
	[ $# -lt 2 ] || printf '    %.600s\n' "${@:2}"
}

# is NAME GOT WANTED
is() {
	if [ "$2" == "$3" ]; then ok; else not_ok "$1" "got:    $2" "wanted: $3"; fi
}

# has NAME TEXT PART
has() {
	if [[ $2 == *"$3"* ]]; then ok; else not_ok "$1" "got:    $2" "wanted: $3"; fi
}

lacks() {
	if [[ $2 != *"$3"* ]]; then ok; else not_ok "$1" "found:  $3"; fi
}

# between NAME NUMBER LEAST MOST
between() {
	if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then ok; else not_ok "$1" "got: $2" "wanted: $3..$4"; fi
}

# get PATH [CURL OPTION...]: sets body, head, status, rc (curl's exit code)
# shellcheck disable=SC2034 # the parts in selftest.d read them
get() {
	local path=$1
	shift
	status=$(curl "${curl_opts[@]}" -H "$key" -D "$tmp/head" -o "$tmp/body" \
		-w '%{http_code}' "$@" "$S/api/v3/$path" 2>"$tmp/err")
	rc=$?
	body=$(tr -d '\0' <"$tmp/body" 2>/dev/null)
	head=$(tr -d '\r' <"$tmp/head" 2>/dev/null)
	: >"$tmp/body"
}

# post JSON [CURL OPTION...]
post() {
	local json=$1
	shift
	get order -H 'Content-Type: application/json' --data-binary "$json" "$@"
}

envelope() { printf '%s' "${body##*\],}"; }
norders() { grep -o '"orderEvents":' <<<"$body" | wc -l; }
now_ms() { date +%s%3N; }
ctl() { IMPILO_SANDBOX=$S ./ctl "$@"; }
first_id() { sed 's/^{"content":\[{"id":\([0-9]*\).*/\1/' <<<"$body"; }

for part in basics create lies shifts faults puts control tls; do
	# shellcheck source=/dev/null
	. "./selftest.d/$part.sh"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
