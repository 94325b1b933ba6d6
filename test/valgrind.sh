#!/bin/bash
# test/valgrind.sh: no leak, no invalid access, no lost socket.
#
# Runs test/leak.sql, which takes every path of the extension including those
# that fail, twice in one single-user backend under valgrind.  It looks for
# findings whose stack passes through our code (what PostgreSQL itself leaves
# behind is its own), and for sockets and memory contexts that the second run
# added to the first.  Prints "ok" or "not ok" for each kind of finding.
#
# Wants the extension built here with -g and installed into the PostgreSQL
# that PG_CONFIG names; does not run as root (PostgreSQL does not either).
# VALGRIND_LOG=FILE keeps all that valgrind said.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

if [ -z "${IMPILO_SANDBOX:-}" ]; then
	IMPILO_SANDBOX_ARGS=${IMPILO_SANDBOX_ARGS:---orders 60} exec test/with-sandbox "$0"
fi

bin=$("${PG_CONFIG:-pg_config}" --bindir)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
log=${VALGRIND_LOG:-$home/valgrind.log}

"$bin/initdb" -D "$home/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
	--no-sync >"$home/initdb.log" 2>&1 || {
	cat "$home/initdb.log"
	exit 1
}

# After each run: descriptors of no file, and what our memory contexts hold.
measure() {
	cat <<-'END'
		COPY measured (descriptors) FROM PROGRAM 'ls -l /proc/$PPID/fd | grep -vc -- "-> /"';

		INSERT INTO measured (contexts, bytes, names)
			SELECT count(*), coalesce(sum(used_bytes), 0), string_agg(name, ', ' ORDER BY name)
			FROM pg_backend_memory_contexts WHERE name LIKE 'impilo%';

	END
}

# A single-user backend reads "-j" statements: they end with an empty line.
{
	printf 'CREATE TABLE measured (n serial, descriptors int, contexts int, bytes bigint, names text);\n\n'
	cat test/leak.sql
	echo
	measure
	cat test/leak.sql
	echo
	measure
	printf "COPY measured TO '%s';\n\n" "$home/measured"
} | sed "s|@url@|$IMPILO_SANDBOX/api/v3|; s|@port@|${IMPILO_SANDBOX##*:}|" >"$home/leak.sql"

valgrind --quiet --log-file="$log" --leak-check=full --show-leak-kinds=definite,possible \
	--num-callers=60 --fullpath-after= --error-limit=no \
	--suppressions=test/valgrind.supp \
	"$bin/postgres" --single -j -D "$home/data" -c log_line_prefix='%e ' \
	-c max_stack_depth=1MB -c shared_buffers=4MB -c wal_level=minimal -c max_wal_senders=0 \
	-c log_min_messages=error -c log_min_error_statement=panic postgres \
	<"$home/leak.sql" >"$home/output" 2>"$home/errors"
status=$?

number=0
failures=0

# verdict NAME: holds where its input is empty
verdict() {
	local findings

	findings=$(cat)
	number=$((number + 1))
	if [ -z "$findings" ]; then
		echo "ok $number - $1"
	else
		failures=$((failures + 1))
		echo "not ok $number - $1"
		printf '%s\n' "$findings" | head -n 200 | sed 's/^/#   /'
	fi
}

# The paragraphs of the log whose stack passes through our sources and whose
# text, its first line that is no part of the stack, is of a kind.
findings() {
	sed -E 's/^==[0-9]+== ?//' "$log" |
		awk -v RS= -v ours="$PWD/src/" -v kind="$1" '
			index($0, ours) && $0 ~ kind { print $0 "\n" }'
}

shopt -s lastpipe

{
	[ $status = 0 ] || {
		echo "exit code $status"
		tail -n 40 "$home/errors" "$log"
	}
} | verdict 'the backend lives to the end'

# each failing statement says in leak.sql how it shall fail
{
	diff -u --label expected --label seen \
		<(sed -n 's/^-- fails: //p' "$home/leak.sql") \
		<(sed -nE 's/^([0-9A-Z]{5}) (ERROR|FATAL|PANIC):.*/\1/p' "$home/errors") ||
		cat "$home/errors"
} | verdict 'every path was taken, and failed where it should'

findings 'Invalid (read|write|free)|overlap|Mismatched|uninitialised' |
	verdict 'no invalid access'
findings 'definitely lost|possibly lost' | verdict 'no leak'
awk -F '\t' '
	$2 != "\\N" { d[++nd] = $2 }
	$3 != "\\N" { c[++nc] = $3; b[nc] = $4; names[nc] = $5 }
	END {
		if (nd != 2 || nc != 2) print "not measured"
		if (d[2] > d[1]) print "open descriptors: " d[1] ", then " d[2]
		if (c[2] > c[1]) print "memory contexts: " names[1] "; then " names[2]
		# texts of a few digits more or less are no leak
		if (b[2] > b[1] + 500) print "bytes in them: " b[1] ", then " b[2]
	}' "$home/measured" | verdict 'a second run leaves no more sockets or memory'

[ $failures = 0 ]
