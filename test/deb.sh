#!/bin/bash
# bash test/deb.sh [--help]
#
# Checks the installed packages postgresql-N-impilo-fdw: starts a private
# PostgreSQL server that uses the installed extension, and compares the results
# of the statements of README.md with those printed there.  The last line is
# "N passed, N failed".
#
# Runs as root or as another user.  Needs a compiler only if the sandbox is not
# built yet.

set -uo pipefail

# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

versions=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 'postgresql-*-impilo-fdw' 2>/dev/null |
	sed -n 's/^postgresql-\([0-9]*\)-impilo-fdw installed$/\1/p')

# The copy of the checkout contains no programs.
prepare_private_folder() {
	cp "$top/test/sandbox/impilo_sandbox" "$private_folder/source/test/sandbox/"
}

passed=0
failed=0

# result NAME FILE: the check NAME passed if FILE is empty
result() {
	if [ ! -s "$2" ]; then
		passed=$((passed + 1))
		say "ok $((passed + failed)) - $1"
	else
		failed=$((failed + 1))
		say "not ok $((passed + failed)) - $1"
		sed 's/^/# /' "$2"
	fi
}

# readme WHAT: prints the statements of README.md or, with WHAT = results, the
# results that it prints, each after its line number
readme() {
	awk -v what="$1" '
		/^```/ {
			if (block != "") {
				last = block == "sql" ? FNR : 0
				block = ""
			} else {
				block = substr($0, 4)
				if (block == "sql")
					print (what == "results" ? "" : "\\echo ") "line " FNR
				else if (block == "text" && last != FNR - 1)
					block = "other"
			}
			next
		}
		block == (what == "results" ? "text" : "sql")' README.md
}

# printed: removes empty lines and spaces at the end of a line
printed() {
	sed 's/[ \t]*$//; /^$/d'
}

check_version() {
	local home=$HOME_FOLDER/$1 name
	local share=/usr/share/postgresql/$1/extension

	mkdir "$home"
	BINDIR=/usr/lib/postgresql/$1/bin
	for name in impilo_fdw.control sql/impilo_fdw--*.sql; do
		cmp "$name" "$share/$(basename "$name")"
	done >"$home/files" 2>&1
	result "PostgreSQL $1: the package has the scripts of this source" "$home/files"

	start_postgres "$home"
	{
		echo '\i :setup'
		readme statements
	} | test/with-sandbox "$BINDIR/psql" -X -q 2>&1 | printed >"$home/got"
	readme results | printed >"$home/expected"
	diff -u "$home/expected" "$home/got" >"$home/differences"
	grep -q '^(.* rows*)$' "$home/got" || echo 'there are no results' >>"$home/differences"
	result "PostgreSQL $1: the statements of README.md" "$home/differences"
}

case ${1:-} in
	'')
		[ -n "$versions" ] || die 'no package postgresql-N-impilo-fdw is installed'
		[ -x "$top/test/sandbox/impilo_sandbox" ] || make -s -C "$top/test/sandbox" || exit 1
		PG_CONFIG=
		in_private_folder test/deb.sh --inside
		;;
	--inside)
		cd "$HOME_FOLDER/source" || exit 1
		for version in $versions; do
			check_version "$version"
		done
		say "$passed passed, $failed failed"
		[ $failed = 0 ]
		;;
	*)
		usage
		;;
esac
