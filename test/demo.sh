#!/bin/bash
# bash test/demo.sh [--keep | --help]
#
# Shows the extension at work.  Builds it, starts a PostgreSQL server and a
# sandbox of the order API, runs test/demo.sql and the statements of README.md,
# and prints the requests that the sandbox received.
#
# Runs on a bare Debian or Ubuntu as root or as a user with sudo.  Installs
# missing packages with apt-get.  Builds in a copy of the checkout and installs
# into a copy of PostgreSQL.  Removes everything except the packages at the end.
#
#   --keep       keep both servers running; print how to connect and stop them
#   PG_CONFIG=   use this PostgreSQL instead of the newest one installed

set -uo pipefail

# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

outside() {
	if [ $# -gt 1 ] || [ "${1:---keep}" != --keep ]; then
		echo 'usage: bash test/demo.sh [--keep | --help]' >&2
		exit 2
	fi
	cat <<-END
		impilo_fdw: a demonstration in four steps

		  1. Install missing packages with apt-get. They remain installed.
		  2. Build the extension in a copy of this folder.
		  3. Start a private PostgreSQL server and a sandbox of the order API.
		  4. Run the statements of README.md.

		Other PostgreSQL servers are not touched, and orders are created in the sandbox only.

		1. Packages
	END
	need gcc libc6-dev make pkg-config curl util-linux libcurl4-openssl-dev \
		libjson-c-dev libmicrohttpd-dev zlib1g-dev
	choose_postgres
	say '   All are installed.'
	in_private_folder test/demo.sh --inside "$@"
}

# Builds and installs; prints a dot for each compiled file.
build() {
	local line start=$SECONDS

	{
		make -j2 install with_llvm=no PG_CONFIG="$PG_CONFIG" && make -j2 -C test/sandbox &&
			echo built
	} 2>&1 | while read -r line; do
		printf '%s\n' "$line" >>"$HOME_FOLDER/build.log"
		case $line in
			*.o | *.o\ *) printf . ;;
			built) say " done in $((SECONDS - start)) s" ;;
		esac
	done
	[ "$(tail -n 1 "$HOME_FOLDER/build.log")" = built ] || {
		say
		cat "$HOME_FOLDER/build.log" >&2
		die 'the build failed'
	}
}

# start_sandbox: sets sandbox_pid and IMPILO_SANDBOX
start_sandbox() {
	local line

	exec {output}< <(exec test/sandbox/impilo_sandbox --orders 1000 2>"$HOME_FOLDER/sandbox.log")
	sandbox_pid=$!
	read -r -t 20 -u "$output" line || die 'the sandbox did not start'
	export IMPILO_SANDBOX=$line
}

# Writes each block of statements of README.md to a file in FOLDER, after the
# paragraph above it.
readme_statements() {
	awk -v folder="$1" '
		/^```/ {
			if (block == "") {
				block = $0
				if (block == "```sql") {
					file = sprintf("%s/%02d.sql", folder, ++n)
					if (!list && text != "")
						print text >file
				}
			} else
				block = text = ""
			next
		}
		block == "```sql" { print >file }
		block != "" { next }
		/^[ \t]*$/ { closed = 1; next }
		closed || /^[#|-]/ { text = ""; closed = 0; list = /^[#|-]/ }
		{
			gsub(/\*\*|`|\[|\]\([^)]*\)/, "")
			text = text (text == "" ? "" : "\n") "-- " $0
		}' README.md
}

# Runs the demonstration.  Fails if a statement does.
show() {
	local file
	local -a psql=("$BINDIR/psql" -X -a -q -v ON_ERROR_STOP=1)

	sed "s|:'base_url'|'$IMPILO_SANDBOX/api/v3'|" test/demo.sql | "${psql[@]}" 2>&1 || return 1
	mkdir "$HOME_FOLDER/statements"
	readme_statements "$HOME_FOLDER/statements"
	for file in "$HOME_FOLDER"/statements/*; do
		test/sandbox/ctl log-reset
		"${psql[@]}" -f "$file" 2>&1 || return 1
		say '-- The API received:'
		test/sandbox/ctl log sort | sed 's/^/--   /'
		say
	done
}

inside() {
	local status=0

	cd "$HOME_FOLDER/source" || exit 1
	private_postgres "$HOME_FOLDER/postgres"
	say
	say "2. Building for $("$PG_CONFIG" --version)"
	printf '   '
	build
	say
	say '3. Starting the servers'
	mkdir "$HOME_FOLDER/server"
	start_postgres "$HOME_FOLDER/server"
	start_sandbox
	say "   PostgreSQL: a socket in $HOME_FOLDER/server; the sandbox: $IMPILO_SANDBOX, with 1000 orders"
	say
	say '4. Statements'
	say

	show || status=$?
	if [ $status != 0 ]; then
		say 'The demonstration failed.'
	elif [ "${1:-}" = --keep ]; then
		keep
	else
		cat <<-END
			Both servers are stopped and their files removed. What to do next:

			  bash test/demo.sh --keep    keep the servers, and try your own statements
			  docs/install.md             install impilo_fdw, and connect it to your account
			  docs/reading.md             which request a query sends
			  docs/creating.md            before you create the first order
		END
	fi
	return $status
}

# Keeps the servers, and writes a script that stops them.
keep() {
	local client=psql

	command -v psql >/dev/null || client=$BINDIR/psql
	cat >"$HOME_FOLDER/stop" <<-END
		kill -INT \$(head -n 1 '$HOME_FOLDER/server/data/postmaster.pid') $sandbox_pid
		sleep 1
		rm -rf '$HOME_FOLDER'
	END
	touch "$HOME_FOLDER/keep"
	cat <<-END
		Both servers are running. To connect:

		  $client -h $HOME_FOLDER/server -U postgres

		What to type there:

		  SELECT * FROM impilo.orders WHERE id = 42 \gx
		  EXPLAIN (ANALYZE, COSTS OFF) SELECT sum(count) FROM impilo.order_items;
		  \d impilo.*

		To see the requests that the sandbox received:

		  IMPILO_SANDBOX=$IMPILO_SANDBOX $HOME_FOLDER/source/test/sandbox/ctl log

		To stop both servers and remove their files:

		  bash $HOME_FOLDER/stop
	END
}

case ${1:-} in
	--help | -h)
		usage
		;;
	--inside)
		shift
		inside "$@"
		;;
	*)
		outside "$@"
		;;
esac
