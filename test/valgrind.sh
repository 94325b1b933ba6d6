#!/bin/bash
# test/valgrind.sh [twice] [suite]: finds leaks, invalid accesses, lost sockets.
#
#   twice   runs test/leak.sql, which takes every path of the extension including
#           those that fail, twice in one single-user backend; the second run
#           may leave no more sockets and memory contexts than the first
#   suite   runs the regression tests, but for that of the mirror, against a
#           server whose processes all run under valgrind; REGRESS="NAME..."
#           selects tests
#
# A leak counts if its stack contains our code.  An invalid access or a use of
# uninitialized memory always counts, because the memory may have been ours.
# Prints "ok" or "not ok" for each kind of finding.
#
# To show that valgrind would find errors, every process also runs with
# test/preload/canary.c, whose faults must be found in our code.
#
# The extension must be built here with -g and installed into the PostgreSQL of
# PG_CONFIG.  A server with assertions finds more: it overwrites freed memory
# and knows the ends of palloc's chunks.  Does not run as root.
# VALGRIND_LOG=FILE receives all output of valgrind.  SLOW=1 shows where
# uninitialized memory came from.

set -uo pipefail
shopt -s lastpipe nullglob
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

if [ -z "${IMPILO_SANDBOX:-}" ]; then
	IMPILO_SANDBOX_ARGS=${IMPILO_SANDBOX_ARGS:---orders 60} exec test/with-sandbox "$0" "$@"
fi
# the regression tests start sandboxes with the default arguments
unset IMPILO_SANDBOX_ARGS

bin=$("${PG_CONFIG:-pg_config}" --bindir)
home=$(mktemp -d)
server=
trap '[ -z "$server" ] || "$bin/pg_ctl" -D "$home/data" -m immediate stop >/dev/null; rm -rf "$home"' EXIT

number=0
failures=0

# verdict NAME: passes if its input is empty
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

new_cluster() {
	rm -rf "$home/data"
	"$bin/initdb" -D "$home/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
		--no-sync >"$home/initdb.log" 2>&1 || {
		cat "$home/initdb.log"
		exit 1
	}
}

# settings of both parts: small, without background work
settings=(-c log_line_prefix='%e ' -c shared_buffers=4MB -c fsync=off -c jit=off
	-c wal_level=minimal -c max_wal_senders=0 -c autovacuum=off)

# watched NAME COMMAND...: runs COMMAND under valgrind, with a log NAME.PID for
# each process
watched() {
	local name=$1
	shift
	# valgrind follows forks, but no other programs
	LD_PRELOAD=$home/canary.so exec valgrind --log-file="$home/$name.%p" --trace-children=no \
		--leak-check=full --show-leak-kinds=definite,possible \
		--num-callers=40 --fullpath-after= --error-limit=no \
		--suppressions=test/valgrind.supp "$@"
}

# await LOG...: waits until the processes have ended; leaks are reported last
await() {
	local log

	for log in "$@"; do
		for _ in $(seq 600); do
			kill -0 "${log##*.}" 2>/dev/null || break
			sleep 0.1
		done
	done
}

# paragraphs LOG...: prints valgrind's output without the prefix of each line
paragraphs() {
	sed -s -E 's/^==[0-9]+== ?//; $a\\' "$@" </dev/null
}

# findings KIND OURS LOG...: prints the paragraphs whose first line matches KIND;
# with OURS = yes only those whose stack contains our sources
findings() {
	local kind=$1 ours=$2
	shift 2
	paragraphs "$@" |
		awk -v RS= -v src="$PWD/src/" -v ours="$ours" -v kind="$kind" '
			$0 ~ kind && !/ canary_/ && (ours != "yes" || index($0, src)) { print $0 "\n" }'
}

# judge WHAT LEAST LOG...: checks the findings of the processes.  In at least
# LEAST of them valgrind must have found all faults of canary.c.  A pointer that
# remains on the stack can hide the lost block in some processes.
judge() {
	local what=$1 least=$2 log
	shift 2

	{
		for log in "$@"; do
			paragraphs "$log" | awk -v RS= -v src="$PWD/src/" '
				!/ canary_/ || !index($0, src) { next }
				/^Invalid write of size 1/ { n[1]++ }
				/^Conditional jump or move depends on uninitialised/ { n[2]++ }
				# blocks of 4,242 bytes
				/^(4,242|8,484|12,726) bytes in [123] blocks are definitely lost/ { n[3]++ }
				END { if (n[1] + n[2] + n[3]) print n[1] + 0, n[2] + 0, n[3] + 0 }'
		done | awk -v least="$least" '
			$0 == "1 1 1" { sung++ }
			END { if (sung < least) print sung + 0 " processes with planted faults, " least " wanted" }'
	} | verdict "$what: the planted faults are found"
	findings 'Invalid (read|write|free)|overlap|Mismatched|(depends on|Use of) uninitialised' no "$@" |
		verdict "$what: no invalid access"
	findings 'uninitialised' yes "$@" | verdict "$what: no use of uninitialized memory"
	findings 'definitely lost|possibly lost' yes "$@" | verdict "$what: no leak"
	[ -z "${VALGRIND_LOG:-}" ] || cat "$@" >>"$VALGRIND_LOG"
}

#----------------------------------------------------------------------
# All paths twice
#----------------------------------------------------------------------

# After each run: the number of descriptors that are not files, and the size of
# our memory contexts.
measure() {
	cat <<-'END'
		COPY measured (descriptors) FROM PROGRAM 'ls -l /proc/$PPID/fd | grep -vc -- "-> /"';

		INSERT INTO measured (contexts, bytes, names)
			SELECT count(*), coalesce(sum(used_bytes), 0), string_agg(name, ', ' ORDER BY name)
			FROM pg_backend_memory_contexts WHERE name LIKE 'impilo%' AND name NOT IN ('impilo_fdw journal', 'impilo_fdw created orders');

	END
}

# A single-user backend reads "-j" statements: they end with an empty line.
leak_script() {
	printf 'CREATE TABLE measured (n serial, descriptors int, contexts int, bytes bigint, names text);\n\n'
	cat test/leak.sql
	echo
	measure
	cat test/leak.sql
	echo
	measure
	printf "COPY measured TO '%s';\n\n" "$home/measured"
}

part_twice() {
	local status=0

	new_cluster
	leak_script | sed "s|@url@|$IMPILO_SANDBOX/api/v3|; s|@port@|${IMPILO_SANDBOX##*:}|" >"$home/leak.sql"
	(watched twice "$bin/postgres" --single -j -D "$home/data" "${settings[@]}" \
		-c max_stack_depth=1MB -c log_min_messages=error -c log_min_error_statement=panic postgres) \
		<"$home/leak.sql" >"$home/output" 2>"$home/errors" || status=$?

	{
		[ $status = 0 ] || {
			echo "exit code $status"
			tail -n 40 "$home/errors" "$home"/twice.*
		}
	} | verdict 'twice: the backend does not crash'

	# leak.sql states the SQLSTATE of each failing statement
	{
		diff -u --label expected --label seen \
			<(sed -n 's/^-- fails: //p' "$home/leak.sql") \
			<(sed -nE 's/^([0-9A-Z]{5}) (ERROR|FATAL|PANIC):.*/\1/p' "$home/errors") ||
			cat "$home/errors"
	} | verdict 'twice: every statement succeeded or failed as expected'

	judge twice 1 "$home"/twice.*
	touch "$home/measured"
	awk -F '\t' '
		$2 != "\\N" { d[++nd] = $2 }
		$3 != "\\N" { c[++nc] = $3; b[nc] = $4; names[nc] = $5 }
		END {
			if (nd != 2 || nc != 2) print "not measured"
			if (d[2] > d[1]) print "open descriptors: " d[1] ", then " d[2]
			if (c[2] > c[1]) print "memory contexts: " names[1] "; then " names[2]
			# numbers in texts can have more digits
			if (b[2] > b[1] + 500) print "bytes in them: " b[1] ", then " b[2]
		}' "$home/measured" | verdict 'twice: a second run leaves no more sockets or memory'
}

#----------------------------------------------------------------------
# The regression tests
#----------------------------------------------------------------------

# prints a program that pg_ctl starts in place of postgres
watched_postgres() {
	local origins=

	[ -z "${SLOW:-}" ] || origins=--track-origins=yes
	printf '#!/bin/bash\n'
	declare -p home
	declare -f watched
	printf 'cd %q || exit\nwatched suite %s %q "$@"\n' "$PWD" "$origins" "$bin/postgres"
}

part_suite() {
	local status=0 results names

	# the SQL of the mirror is slow here; leak.sql runs its C code
	names=$(basename -s .sql sql/*.sql | grep -vx -e 'impilo_fdw--.*' -e mirror | tr '\n' ' ')
	new_cluster
	watched_postgres >"$home/postgres"
	chmod +x "$home/postgres"
	"$bin/pg_ctl" -D "$home/data" -p "$home/postgres" -l "$home/server.log" -w -t 120 \
		-o "${settings[*]@Q} -c listen_addresses='' -c unix_socket_directories='$home' -p 5432" start >/dev/null || {
		cat "$home/server.log"
		exit 1
	}
	server=yes
	PGHOST=$home PGPORT=5432 PGUSER=postgres EXTRA_REGRESS_OPTS="--outputdir=$home" \
		make -s installcheck TAP_TESTS= PG_CONFIG="${PG_CONFIG:-pg_config}" with_llvm=no \
		REGRESS="${REGRESS:-$names}" || status=$?
	"$bin/pg_ctl" -D "$home/data" -m fast -w -t 120 stop >/dev/null
	server=
	await "$home"/suite.*

	{
		[ $status = 0 ] || {
			echo "exit code $status"
			head -n 200 "$home/regression.diffs"
		}
		grep -aE 'PANIC|terminated by signal' "$home/server.log"
	} | verdict 'suite: the regression tests pass'

	# some tests send no request
	results=("$home"/results/*.out)
	judge suite $(((${#results[@]} + 1) / 2)) "$home"/suite.*
}

${CC:-cc} -O0 -g -shared -fPIC -o "$home/canary.so" test/preload/canary.c -ldl || exit 1
parts=("$@")
[ $# -gt 0 ] || parts=(twice suite)
for part in "${parts[@]}"; do
	case $part in
		twice | suite) "part_$part" ;;
		*)
			echo "unknown part: $part" >&2
			exit 2
			;;
	esac
done
[ $failures = 0 ]
