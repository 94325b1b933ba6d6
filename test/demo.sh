#!/bin/bash
# bash test/demo.sh [--keep]
#
# Shows the extension at work: builds it, starts a PostgreSQL and a stand-in
# for the API of its own, and runs test/demo.sql and then the statements of
# README.md, each with its answer.
#
# Runs on a bare Debian or Ubuntu as root or as a sudoer; installs what is
# missing with apt-get.  Builds in a copy of the checkout and installs into a
# copy of PostgreSQL: nothing else on the machine is touched.
#
#   --keep       leaves both running, and says how to connect and how to stop
#   PG_CONFIG=   another PostgreSQL than the newest installed one

set -uo pipefail

# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

outside() {
	if [ $# -gt 1 ] || [ "${1:---keep}" != --keep ]; then
		echo 'usage: bash test/demo.sh [--keep]' >&2
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

# The statements of README.md, each under the sentence that stands above it.
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

# show: the demonstration; fails where not just what README.md shows as an
# error is one
show() {
	local output=$HOME_FOLDER/output
	local -a psql=("$BINDIR/psql" -X -a -q)

	"${psql[@]}" -v ON_ERROR_STOP=1 -v base_url="$IMPILO_SANDBOX/api/v3" -f test/demo.sql 2>&1 ||
		return 1
	readme_statements | "${psql[@]}" 2>&1 | tee "$output"
	[ "$(grep -c '^ERROR:' README.md)" = "$(grep -c '^ERROR:' "$output")" ]
}

inside() {
	local status=0

	cd "$HOME_FOLDER/source" || exit 1
	private_postgres "$HOME_FOLDER/postgres"
	say "building with $("$PG_CONFIG" --version)"
	build >"$HOME_FOLDER/build.log" 2>&1 || {
		cat "$HOME_FOLDER/build.log" >&2
		die 'the build failed'
	}
	mkdir "$HOME_FOLDER/server"
	start_postgres "$HOME_FOLDER/server"
	start_sandbox

	show || status=$?
	if [ $status = 0 ] && [ "${1:-}" = --keep ]; then
		keep
	fi
	return $status
}

# leaves everything as it is, with a script that ends it
keep() {
	cat >"$HOME_FOLDER/stop" <<-END
		kill -INT \$(head -n 1 '$HOME_FOLDER/server/data/postmaster.pid') $sandbox_pid
		sleep 1
		rm -rf '$HOME_FOLDER'
	END
	touch "$HOME_FOLDER/keep"
	cat <<-END

		Still running:
		  psql -h $HOME_FOLDER/server -U postgres      the database
		  export IMPILO_SANDBOX=$IMPILO_SANDBOX     then $HOME_FOLDER/source/test/sandbox/ctl asks and steers the sandbox
		  bash $HOME_FOLDER/stop                ends it, and removes everything
	END
}

case ${1:-} in
	--inside)
		shift
		inside "$@"
		;;
	*)
		outside "$@"
		;;
esac
