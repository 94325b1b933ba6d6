#!/bin/bash
# test/style.sh              checks the laws of the code that a tool can see
# test/style.sh --fix        lays the C code out as PostgreSQL does
# test/style.sh --typedefs   writes test/typedefs.list anew, from what is built
#
# Every check prints "ok" or "not ok"; one that fails says why the rule is
# there, and names the places.

set -uo pipefail
shopt -s lastpipe nullglob
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# The folders of src/, from the top down.  A file may include headers of its
# own folder and of folders further down this list; compat.h is for all.
folders='. fdw functions create read rows catalog api json http'

sources=(src/*.c src/*/*.c)
headers=(src/*.h src/*/*.h)
all_c=("${sources[@]}" "${headers[@]}" test/*/*.c test/*/*.h)
typedefs=test/typedefs.list

number=0
failures=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# rule NAME WHY: holds where its input is empty, else the input tells where
# it is broken
rule() {
	local name=$1 why=$2 places

	places=$(cat)
	number=$((number + 1))
	if [ -z "$places" ]; then
		echo "ok $number - $name"
		return
	fi
	failures=$((failures + 1))
	echo "not ok $number - $name"
	printf '%s\n' "$why" | sed 's/^/# /'
	printf '%s\n' "$places" | head -n 60 | sed 's/^/#   /'
}

skip() {
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# code FILE...: "FILE:LINE:TEXT" without comments and with empty strings; a
# comment of C++ leaves "//"
code() {
	perl -0777 -ne '
		s{("(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])*\x27)|(/\*.*?\*/)|//[^\n]*}
		 { defined $1 ? substr($1, 0, 1) x 2 : defined $2 ? $2 =~ s/[^\n]//gr : "//" }gse;
		my $n = 0;
		print map { $n++; "$ARGV:$n:$_\n" } split /\n/;' "$@" </dev/null
}

# functions_over LIMIT FILE...
functions_over() {
	local limit=$1
	shift
	awk -v limit="$limit" '
		FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^\}/ {
			if (start && FNR - start > limit)
				printf "%s:%d: %d lines\n", FILENAME, start, FNR - start
			start = 0
		}' "$@" </dev/null
}

#----------------------------------------------------------------------
# Layout
#----------------------------------------------------------------------

# indented FILE: the file as PostgreSQL's pgindent would leave it: pg_bsd_indent
# with its flags, and what it does before and after
indented() {
	local types=$scratch/typedefs

	# "text" is a type to some files and the name of a variable to others
	[ -e "$types" ] || sort -u "$typedefs" <(our_typedefs) >"$types"
	if ! grep -qE '\btext[ 	]+\*[^/]' "$1"; then
		[ -e "$types.no-text" ] || grep -vxF text "$types" >"$types.no-text"
		types=$types.no-text
	fi

	# the byte 0x80, part of many a UTF-8 character, is a mark of its own
	perl -0777 -pe 's{/\* +---}{/*---X_X}g; tr/\x80/\x01/;' "$1" |
		pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 \
			-nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 "-U$types" |
		perl -0777 -pe '
			tr/\x01/\x80/;
			s{/\*---X_X}{/* ---}g;
			s{\*/(/\*.*\*/)$}{*/\t$1}gm;
			s{^([A-Za-z_]\S*)[ \t]+\*$}{$1 *}gm;'
}

can_indent() {
	command -v pg_bsd_indent >/dev/null &&
		pg_bsd_indent --version 2>&1 | grep -q 'pg_bsd_indent 2\.1\.1 '
}

fix_layout() {
	local file new=$scratch/new

	can_indent || { echo 'pg_bsd_indent 2.1.1 is not installed' >&2; exit 1; }
	for file in "${all_c[@]}"; do
		indented "$file" >"$new" && ! cmp -s "$file" "$new" &&
			cat "$new" >"$file" && echo "laid out $file"
	done
}

# the typedefs that our own code makes
our_typedefs() {
	code "${all_c[@]}" | sed 's/^[^:]*:[0-9]*://' | perl -0777 -ne '
		print "$1\n" while /\btypedef\s+(?:struct|union|enum)\s+\w*\s*\{.*?\n\}\s*(\w+)\s*;/gs;
		print "$1\n" while /\btypedef\s+[^;{()]*?\b(\w+)\s*;/g;
		print "$1\n" while /\btypedef\s+[^;{()]*\(\s*\*\s*(\w+)\s*\)/g;' | sort -u
}

# every typedef that our code uses: ours, and those that the objects tell of
write_typedefs() {
	local words=$scratch/words

	code "${all_c[@]}" | grep -oE '\b[A-Za-z_][A-Za-z_0-9]*\b' | sort -u >"$words"
	{
		our_typedefs
		cat "$typedefs" 2>/dev/null
		find src test -name '*.o' -print0 |
			xargs -0 -r readelf --debug-dump=info 2>/dev/null |
			awk '/\(DW_TAG_typedef\)/ { t = 1; next }
				t && /DW_AT_name/ { print $NF; t = 0 }
				/Abbrev Number/ { t = 0 }'
	} | LC_ALL=C sort -u |
		LC_ALL=C comm -12 - <(LC_ALL=C sort -u "$words") >"$words.new"
	cat "$words.new" >"$typedefs"
}

check_layout() {
	local file

	comm -23 <(our_typedefs) <(sort -u "$typedefs") |
		rule "typedefs.list knows every typedef of ours" \
			'The indenter tells "a * b" the product from "a *b" the pointer by this list:
test/style.sh --typedefs'

	if ! can_indent; then
		skip 'layout' 'pg_bsd_indent 2.1.1, whose layout this is, is not installed'
		return
	fi
	for file in "${all_c[@]}"; do
		indented "$file" | diff -u --label "$file" --label "$file, laid out" "$file" -
	done | rule "layout" \
		'One layout, made by a tool, so that a change shows only what it changes:
test/style.sh --fix'
}

#----------------------------------------------------------------------
# The modules
#----------------------------------------------------------------------

check_modules() {
	grep -HnE '#include *<curl/' "${sources[@]}" "${headers[@]}" | grep -v '^src/http/http\.c:' |
		rule "only http.c includes libcurl" \
			"libcurl's types in a second room would let it do what only http.c guards:
callbacks that may not throw, handles that must have an owner."

	grep -HnE '#include *<(json-c/)?json[a-z_]*\.h>' "${sources[@]}" "${headers[@]}" |
		grep -v '^src/json/tree\.c:' |
		rule "only tree.c includes json-c" \
			"json-c's memory lies outside every memory context; one room sees to it."

	grep -HnE '#include.*utils/(builtins|fmgrprotos)\.h' src/json/tree.c 2>/dev/null |
		rule "tree.c does not include builtins.h" \
			"Both headers declare json_object: a function there, a type in json-c."

	grep -HnE '\b(PG_VERSION_NUM|LIBCURL_VERSION_NUM)\b' "${sources[@]}" "${headers[@]}" |
		grep -v '^src/compat\.h:' |
		rule "versions are tested in compat.h alone" \
			"The rooms are written for the newest release; what differs in older ones
is hidden in one place, and goes when that release goes."

	code "${sources[@]}" "${headers[@]}" | grep -w pg_attribute_noreturn |
		grep -v '^src/compat\.h:' |
		rule "pg_noreturn stands before the declaration" \
			"PostgreSQL 18 has no attribute for it behind one; compat.h gives the new
name to older releases."

	inner_conditionals | rule "no #if inside a function" \
		"Two functions in one body are tested as half of each."

	upward_includes | rule "includes point down only" \
		"A file may include headers of its own folder and of lower folders.  The order
of the folders is in test/style.sh."
}

inner_conditionals() {
	awk '
		FNR == 1 { body = 0 }
		/^\{/ { body = 1 }
		/^\}/ { body = 0 }
		body && /^[ \t]*#[ \t]*if/ && !/USE_ASSERT_CHECKING/ {
			printf "%s:%d: %s\n", FILENAME, FNR, $0
		}' "${sources[@]}" </dev/null
}

upward_includes() {
	awk -v folders="$folders" '
		function folder(path) {
			return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : "."
		}
		BEGIN {
			n = split(folders, name, " ")
			for (i = 1; i <= n; i++)
				level[name[i]] = i
		}
		FNR == 1 {
			from = folder(substr(FILENAME, 5))
			if (!(from in level))
				print FILENAME ": its folder is not in the list of test/style.sh"
		}
		/^#[ \t]*include[ \t]*"/ {
			split($0, part, "\"")
			to = folder(part[2])
			if (part[2] == "compat.h" || system("test -e src/" part[2]) != 0)
				next
			if (level[to] < level[from])
				printf "%s:%d: %s\n", FILENAME, FNR, $0
		}' "${sources[@]}" "${headers[@]}" </dev/null
}

# pg_finfo_..., the magic block and _PG_init are the server's to find
check_symbols() {
	if [ ! -e impilo_fdw.so ]; then
		skip 'exported names' 'impilo_fdw.so is not built'
		return
	fi
	nm -D --defined-only impilo_fdw.so | awk '{ print $NF }' |
		grep -vE '^(impilo|pg_finfo_impilo|Pg_magic_func$|_PG_init$|_init$|_fini$)' |
		rule "exported names begin with impilo" \
			"Until PostgreSQL 15 every function that is not static is visible to all
modules of a backend: two of one name, and one of them is called for both."
}

#----------------------------------------------------------------------
# The code
#----------------------------------------------------------------------

check_code() {
	local file pure_or_owner

	code "${all_c[@]}" | grep -F '//' |
		rule "comments are /* */" "One form, as in PostgreSQL."

	code "${all_c[@]}" |
		grep -E '\b(v?sprintf|strcpy|stpcpy|strcat|strncat|gets|atoi|atol|atoll|atof|strtok)[ \t]*\(' |
		rule "no function that cannot know its limits" \
			"They write past the end, or cannot tell an error from a number: snprintf,
StringInfo, strlcpy, strtol."

	# libcurl calls back into wait.c and answer.c, where palloc may not throw;
	# a file without postgres.h has no palloc
	pure_or_owner='^src/(http/[a-z_]*|json/tree)\.c:'
	for file in "${sources[@]}"; do
		grep -q '"postgres\.h"' "$file" || pure_or_owner+="|^$file:"
	done
	code "${sources[@]}" | grep -E '\b(malloc|calloc|realloc|strdup|strndup)[ \t]*\(' |
		grep -vE "$pure_or_owner" |
		rule "no malloc outside http.c, json.c and the pure rooms" \
			"An error jumps past every free(); what palloc gave ends with its context."

	code "${sources[@]}" | grep -E '\bPG_TRY[ \t]*\(' | awk -F: '{ print $1 }' | uniq -c |
		awk '$1 > 6 { print $2 ": " $1 " times" }' |
		rule "PG_TRY is rare" \
			"What a memory context owns needs no PG_TRY: where a file has many, a holder
with a reset callback is missing."

	functions_over 120 "${all_c[@]}" | rule "no function over 120 lines" \
		"What does not fit on two screens is read by nobody."

	wc -l "${all_c[@]}" | awk '$2 != "total" && $1 > 700 { print $2 ": " $1 " lines" }' |
		rule "no file over 700 lines" "It has outgrown its subject: find the second one in it."

	for file in "${sources[@]}" "${headers[@]}"; do
		sed -n 3p "$file" | grep -qxF " * ${file##*/}" || echo "$file"
	done | rule "every file begins with its name and purpose" \
		"The head comment is where a reader learns what is decided here and what is not."

	for file in "${sources[@]}"; do
		[ -e "${file%.c}.h" ] || grep -q '^PG_FUNCTION_INFO_V1' "$file" ||
			grep -qwF "${file##*/}" "${headers[@]}" || echo "$file"
	done |
		rule "every .c has its .h, or is named in that of its room" \
			"Only what others call is in it, so it tells what the room is for."

	grep -HnE '\b(TODO|FIXME|XXX)\b' "${all_c[@]}" sql/*.sql Makefile impilo_fdw.control \
		./*.md test/*.sh test/perl/*.pm test/t/*.pl 2>/dev/null |
		grep -vE '^test/(style|check)\.sh:' |
		rule "nothing is left to be done" "An open end is an entry where users see it, or it is done."

	grep -HnE '[ 	]+$' "${all_c[@]}" sql/*.sql test/*.sh test/perl/*.pm test/t/*.pl Makefile |
		rule "no space at the end of a line" "It shows up as a change in the next one."
}

#----------------------------------------------------------------------
# The package
#----------------------------------------------------------------------

check_versions() {
	local control meta changelog script agent

	control=$(sed -n "s/^default_version *= *'\(.*\)'$/\1/p" impilo_fdw.control)
	meta=$(perl -MJSON::PP -0777 -ne 'my $m = decode_json($_);
		my %v = map { $_ => 1 } $m->{version}, $m->{provides}{impilo_fdw}{version};
		print join "/", sort keys %v' META.json 2>&1)
	changelog=$(sed -n 's/^## \([0-9.]*\).*/\1/p' CHANGELOG.md 2>&1 | head -n 1)
	script=$(find sql -name 'impilo_fdw--*.sql' | sed 's/.*--\(.*\)\.sql$/\1/' | sort -V | tail -n 1)
	agent=$(sed -n 's/.*"impilo_fdw\/\([0-9.]*\).*/\1/p' "${sources[@]}" | sort -u)

	{
		[ "$meta" = "$changelog" ] || echo "META.json $meta, CHANGELOG.md $changelog"
		[ "${meta%.*}" = "$control" ] || echo "META.json $meta, impilo_fdw.control $control"
		[ "$script" = "$control" ] || echo "newest script $script, impilo_fdw.control $control"
		[ "$agent" = "$control" ] || [ "$agent" = "$meta" ] ||
			echo "User-Agent ${agent:-none}, impilo_fdw.control $control"
	} | rule "one version everywhere" \
		"What pg_available_extensions, PGXN and the server's own log say must be the
same: the control file's MAJOR.MINOR, with a patch number in META.json and CHANGELOG.md."
}

# A promise is worth its test.
check_promises() {
	local file

	grep -oE '`[^` ]*`' SECURITY.md | tr -d '`' | grep -E '^(test|sql)/|\.pl$' | sort -u |
		while read -r file; do
			[ -e "$file" ] || [ -e "test/t/$file" ] || echo "$file is not there"
		done | rule "the tests that SECURITY.md names are there" \
		"Who reads a promise looks for its test."
}

check_scripts() {
	local -a scripts=(test/*.sh test/with-sandbox .ci/run test/sandbox/ctl test/*/*.sh)
	local file

	for file in "${scripts[@]}"; do
		bash -n "$file" 2>&1
	done | rule "the scripts parse" "Bash finds a missing quote only when it comes by."

	if ! command -v shellcheck >/dev/null; then
		skip 'shellcheck' 'it is not installed'
		return
	fi
	shellcheck -x -S warning -f gcc "${scripts[@]}" |
		rule "shellcheck has nothing to say" \
			"An unquoted name is one folder with a space away from removing the wrong one."
}

case ${1:-} in
	'')
		check_layout
		check_modules
		check_symbols
		check_code
		check_versions
		check_promises
		check_scripts
		echo "1..$number"
		[ "$failures" = 0 ]
		;;
	--fix) fix_layout ;;
	--typedefs) write_typedefs ;;
	*)
		echo 'usage: test/style.sh [--fix | --typedefs]' >&2
		exit 2
		;;
esac
