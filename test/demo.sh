#!/bin/bash
# bash test/demo.sh [--keep | --help]
#
# Shows the extension at work.  Builds it, starts a PostgreSQL server and a
# sandbox of the order API, and runs test/demo.sql and the statements of
# README.md.
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
	need gcc libc6-dev make pkg-config curl util-linux libcurl4-openssl-dev \
		libjson-c-dev libmicrohttpd-dev zlib1g-dev
	choose_postgres
	in_private_folder test/demo.sh --inside "$@"
}

build() {
	make -s -j2 install with_llvm=no PG_CONFIG="$PG_CONFIG" &&
		make -s -j2 -C test/sandbox
}

# start_sandbox: sets sandbox_pid and IMPILO_SANDBOX
start_sandbox() {
	local line

	exec {output}< <(exec test/sandbox/impilo_sandbox --orders 1000 2>"$HOME_FOLDER/sandbox.log")
	sandbox_pid=$!
	read -r -t 20 -u "$output" line || die 'the sandbox did not start'
	export IMPILO_SANDBOX=$line
}

# Prints the statements of README.md, each after the paragraph above it.
readme_statements() {
	awk '
		/^```/ {
			if (block == "") {
				block = $0
				if (block == "```sql" && !list && text != "")
					print text
			} else
				block = text = ""
			next
		}
		block == "```sql" { print }
		block != "" { next }
		/^[ \t]*$/ { closed = 1; next }
		closed || /^[#|-]/ { text = ""; closed = 0; list = /^[#|-]/ }
		{
			gsub(/\*\*|`/, "")
			text = text (text == "" ? "" : "\n") "-- " $0
		}' README.md
}

# Runs the demonstration.  Fails if README.md shows other errors.
show() {
	local output=$HOME_FOLDER/output
	local -a psql=("$BINDIR/psql" -X -a -q)

	sed "s|:'base_url'|'$IMPILO_SANDBOX/api/v3'|" test/demo.sql |
		"${psql[@]}" -v ON_ERROR_STOP=1 2>&1 || return 1
	readme_statements | "${psql[@]}" 2>&1 | tee "$output"
	[ "$(grep -c '^ERROR:' README.md)" = "$(grep -c '^ERROR:' "$output")" ]
}

inside() {
	local status=0

	cd "$HOME_FOLDER/source" || exit 1
	private_postgres "$HOME_FOLDER/postgres"
	say "building with $("$PG_CONFIG" --version), which takes some ten seconds"
	build >"$HOME_FOLDER/build.log" 2>&1 || {
		cat "$HOME_FOLDER/build.log" >&2
		die 'the build failed'
	}
	mkdir "$HOME_FOLDER/server"
	start_postgres "$HOME_FOLDER/server"
	start_sandbox

	show || status=$?
	if [ $status != 0 ]; then
		say 'The demonstration failed.'
	elif [ "${1:-}" = --keep ]; then
		keep
	else
		say 'Stopping both servers and removing their files.'
	fi
	return $status
}

# Keeps the servers, and writes a script that stops them.
keep() {
	cat >"$HOME_FOLDER/stop" <<-END
		kill -INT \$(head -n 1 '$HOME_FOLDER/server/data/postmaster.pid') $sandbox_pid
		sleep 1
		rm -rf '$HOME_FOLDER'
	END
	touch "$HOME_FOLDER/keep"
	cat <<-END

		Both servers are running.  To connect to the database:
		  psql -h $HOME_FOLDER/server -U postgres
		To see the requests that the sandbox received:
		  IMPILO_SANDBOX=$IMPILO_SANDBOX $HOME_FOLDER/source/test/sandbox/ctl log
		To stop both and remove their files:
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
