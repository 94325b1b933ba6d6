#!/bin/bash
# test/style.sh              checks the rules of the code that a tool can check
# test/style.sh --fix        formats the C code as PostgreSQL does
# test/style.sh --typedefs   updates test/typedefs.list from the built objects
# test/style.sh --words      lists words that PostgreSQL's documentation avoids
#
# Every check prints "ok" or "not ok".  A failed check prints the reason for
# the rule and the places that break it.

set -uo pipefail
shopt -s lastpipe nullglob
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

sources=(src/*.c src/*/*.c)
headers=(src/*.h src/*/*.h)
all_c=("${sources[@]}" "${headers[@]}" test/*/*.c test/*/*.h)
typedefs=test/typedefs.list

number=0
failures=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# rule NAME WHY: passes if its input is empty; otherwise the input lists the
# places that break the rule
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
# C++ comment leaves "//"
code() {
	perl -0777 -ne '
		s{("(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])*\x27)|(/\*.*?\*/)|//[^\n]*}
		 { defined $1 ? substr($1, 0, 1) x 2 : defined $2 ? $2 =~ s/[^\n]//gr : "//" }gse;
		my $n = 0;
		print map { $n++; "$ARGV:$n:$_\n" } split /\n/;' "$@" </dev/null
}

# functions_over LIMIT FILE...: functions with more lines between their braces
functions_over() {
	local limit=$1
	shift
	awk -v limit="$limit" '
		FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^\}/ {
			if (start && FNR - start - 1 > limit)
				printf "%s:%d: %d lines\n", FILENAME, start, FNR - start - 1
			start = 0
		}' "$@" </dev/null
}

#----------------------------------------------------------------------
# Layout
#----------------------------------------------------------------------

# indented FILE: prints the file as PostgreSQL's pgindent would format it:
# pg_bsd_indent with pgindent's flags, and pgindent's own steps before and after
indented() {
	local types=$scratch/typedefs

	# "text" is a type to some files and the name of a variable to others
	[ -e "$types" ] || sort -u "$typedefs" <(our_typedefs) >"$types"
	if ! grep -qE '\btext[ 	]+\*[^/]' "$1"; then
		[ -e "$types.no-text" ] || grep -vxF text "$types" >"$types.no-text"
		types=$types.no-text
	fi

	# pg_bsd_indent uses the byte 0x80, part of UTF-8 characters, as a mark
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
			cat "$new" >"$file" && echo "formatted $file"
	done
}

# prints the typedefs that our code defines
our_typedefs() {
	code "${all_c[@]}" | sed 's/^[^:]*:[0-9]*://' | perl -0777 -ne '
		print "$1\n" while /\btypedef\s+(?:struct|union|enum)\s+\w*\s*\{.*?\n\}\s*(\w+)\s*;/gs;
		print "$1\n" while /\btypedef\s+[^;{()]*?\b(\w+)\s*;/g;
		print "$1\n" while /\btypedef\s+[^;{()]*\(\s*\*\s*(\w+)\s*\)/g;' | sort -u
}

# writes every typedef that our code uses: ours, and those in the objects'
# debugging information
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
		rule "test/typedefs.list is complete" \
			'pg_bsd_indent needs this list to distinguish the product "a * b" from the
declaration of a pointer "a *b".  Run: test/style.sh --typedefs'

	if ! can_indent; then
		skip 'layout' 'pg_bsd_indent 2.1.1 is not installed'
		return
	fi
	for file in "${all_c[@]}"; do
		indented "$file" | diff -u --label "$file" --label "$file, formatted" "$file" -
	done | rule "layout" \
		'The layout is made by a tool, so that a diff shows only the real change.
Run: test/style.sh --fix'
}

#----------------------------------------------------------------------
# The modules
#----------------------------------------------------------------------

check_modules() {
	grep -HnE '#include *<curl/' "${sources[@]}" "${headers[@]}" | grep -v '^src/http/http\.c:' |
		rule "only http.c includes libcurl" \
			"http.c makes sure that no callback throws and that every handle has an owner.
Other modules use http.h."

	grep -HnE '#include *<(json-c/)?json[a-z_]*\.h>' "${sources[@]}" "${headers[@]}" |
		grep -v '^src/json/tree\.c:' |
		rule "only tree.c includes json-c" \
			"json-c does not allocate in memory contexts.  tree.c makes sure that its memory
is released."

	grep -HnE '#include.*utils/(builtins|fmgrprotos)\.h' src/json/tree.c 2>/dev/null |
		rule "tree.c does not include builtins.h" \
			"PostgreSQL declares a function json_object, json-c a type of that name."

	grep -HnE '\b(PG_VERSION_NUM|LIBCURL_VERSION_NUM)\b' "${sources[@]}" "${headers[@]}" |
		grep -v '^src/compat\.h:' |
		rule "only compat.h tests versions" \
			"All other files are written for the newest release.  compat.h provides what older
releases lack."

	code "${sources[@]}" "${headers[@]}" | grep -w pg_attribute_noreturn |
		grep -v '^src/compat\.h:' |
		rule "pg_noreturn, not pg_attribute_noreturn()" \
			"PostgreSQL 18 has only pg_noreturn, which precedes the declaration.  compat.h
defines it for older releases."

	inner_conditionals | rule "no #if inside a function" \
		"Each variant of such a function is tested on some releases only."

	test/architecture.sh upward | rule "includes point down only" \
		"A file may include headers of its own folder and of lower folders.  The order
of the folders is in test/architecture.sh."
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

# The server looks up pg_finfo_..., the magic block and _PG_init by name.
check_symbols() {
	if [ ! -e impilo_fdw.so ]; then
		skip 'exported names' 'impilo_fdw.so is not built'
		return
	fi
	nm -D --defined-only impilo_fdw.so | awk '{ print $NF }' |
		grep -vE '^(impilo|pg_finfo_impilo|Pg_magic_func$|_PG_init$|_init$|_fini$)' |
		rule "exported names begin with impilo" \
			"Up to PostgreSQL 15, all modules of a backend see every function that is not
static.  If two modules define the same name, one function is called for both."
}

#----------------------------------------------------------------------
# The code
#----------------------------------------------------------------------

check_code() {
	local file may_malloc

	code "${all_c[@]}" | grep -F '//' |
		rule "comments are /* */" "PostgreSQL uses only this form."

	code "${all_c[@]}" |
		grep -E '\b(v?sprintf|strcpy|stpcpy|strcat|strncat|gets|atoi|atol|atoll|atof|strtok)[ \t]*\(' |
		rule "no unsafe function of the C library" \
			"These functions can write past the end of a buffer or cannot report an error.
Use snprintf, StringInfo, strlcpy or strtol."

	# palloc may throw, which http.c cannot allow in a callback of libcurl; a
	# file without postgres.h has no palloc
	may_malloc='^src/(http/[a-z_]*|json/tree)\.c:'
	for file in "${sources[@]}"; do
		grep -q '"postgres\.h"' "$file" || may_malloc+="|^$file:"
	done
	code "${sources[@]}" | grep -E '\b(malloc|calloc|realloc|strdup|strndup)[ \t]*\(' |
		grep -vE "$may_malloc" |
		rule "no malloc outside http.c, tree.c and the modules without PostgreSQL" \
			"An error skips every call of free().  Memory from palloc is released with its
context."

	code "${sources[@]}" | grep -E '\bPG_TRY[ \t]*\(' | awk -F: '{ print $1 }' | uniq -c |
		awk '$1 > 6 { print $2 ": " $1 " times" }' |
		rule "PG_TRY is rare" \
			"Memory contexts and their reset callbacks release what they own without PG_TRY."

	functions_over 80 "${all_c[@]}" | rule "no function has more than 80 lines" \
		"A function should fit on one screen.  Aim for 40 lines."

	wc -l "${all_c[@]}" | awk '$2 != "total" && $1 > ($2 == "src/http/http.c" ? 1550 : 1000) {
		print $2 ": " $1 " lines" }' |
		rule "no file has more than 1,000 lines, http.c 1,550" "Split the file by its subjects."

	comment_share | rule "at least 20 % of the lines in src/ are comments" \
		"Comments state what the code cannot: contracts, reasons, ownership."

	for file in "${sources[@]}" "${headers[@]}"; do
		sed -n 3p "$file" | grep -qxF " * ${file##*/}" || echo "$file"
	done | rule "every file begins with its name and purpose" \
		"The head comment states what the file decides and what it leaves to others."

	for file in "${sources[@]}"; do
		[ -e "${file%.c}.h" ] || grep -q '^PG_FUNCTION_INFO_V1' "$file" ||
			grep -qwF "${file##*/}" "${headers[@]}" || echo "$file"
	done |
		rule "every .c file has its .h file, or a header of its module names it" \
			"The header declares what other modules may call, and nothing else."

	grep -HnE '\b(TODO|FIXME|XXX)\b' "${all_c[@]}" sql/*.sql Makefile impilo_fdw.control \
		./*.md docs/*.md test/*.sh test/perl/*.pm test/t/*.pl 2>/dev/null |
		grep -vE '^test/(style|check)\.sh:' |
		rule "no TODO" "Finish it, or document it where users look."

	grep -HnE '[ 	]+$' "${all_c[@]}" sql/*.sql test/*.sh test/perl/*.pm test/t/*.pl Makefile |
		rule "no space at the end of a line" "It appears in the diff of the next change."
}

# prints the share of comment lines in src/ if it is below 20 %
comment_share() {
	perl -0777 -ne '
		$lines += tr/\n//;
		$comments += defined $1 ? 1 + ($1 =~ tr/\n//) : 0
		  while m{(/\*.*?\*/)|"(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])*\x27}gs;
		END { printf "%d of %d lines\n", $comments, $lines if $comments < 0.2 * $lines }' \
		"${sources[@]}" "${headers[@]}" </dev/null
}

#----------------------------------------------------------------------
# The package
#----------------------------------------------------------------------

check_versions() {
	local control meta changelog script agent package

	control=$(sed -n "s/^default_version *= *'\(.*\)'$/\1/p" impilo_fdw.control)
	meta=$(perl -MJSON::PP -0777 -ne 'my $m = decode_json($_);
		my %v = map { $_ => 1 } $m->{version}, $m->{provides}{impilo_fdw}{version};
		print join "/", sort keys %v' META.json 2>&1)
	changelog=$(sed -n 's/^## \([0-9.]*\).*/\1/p' CHANGELOG.md 2>&1 | head -n 1)
	package=$(sed -n '1s/^impilo-fdw (\([0-9.]*\)-[0-9]*) .*/\1/p' debian/changelog)
	script=$(find sql -name 'impilo_fdw--*.sql' | sed 's/.*--\(.*\)\.sql$/\1/' | sort -V | tail -n 1)
	agent=$(sed -n 's/.*"impilo_fdw\/\([0-9.]*\).*/\1/p' "${sources[@]}" | sort -u)

	{
		[ "$meta" = "$changelog" ] || echo "META.json $meta, CHANGELOG.md $changelog"
		[ "$package" = "$changelog" ] || echo "debian/changelog $package, CHANGELOG.md $changelog"
		[ "${meta%.*}" = "$control" ] || echo "META.json $meta, impilo_fdw.control $control"
		[ "$script" = "$control" ] || echo "newest script $script, impilo_fdw.control $control"
		[ "$agent" = "$control" ] || [ "$agent" = "$meta" ] ||
			echo "User-Agent ${agent:-none}, impilo_fdw.control $control"
	} | rule "one version everywhere" \
		"The control file, the script and the User-Agent have MAJOR.MINOR.  META.json and
the changelogs add the patch number."

	[ ! -e test/released.sha256 ] || sha256sum --quiet -c test/released.sha256 2>&1 |
		rule "released scripts have not changed" "Users have installed them: write an upgrade script."

	sed 's/PGVERSION/18/g' debian/control.in | diff - debian/control |
		rule "debian/control is up to date" "Run pg_buildext updatecontrol on Debian unstable."
}

check_promises() {
	local file

	grep -oE '`[^` ]*`' docs/security.md | tr -d '`' | grep -E '^(test|sql)/|\.pl$' | sort -u |
		while read -r file; do
			[ -e "$file" ] || [ -e "test/t/$file" ] || echo "$file does not exist"
		done | rule "the tests that docs/security.md names exist" \
		"Each promise names the test that checks it."
}

# words: prints the places with archaic words and phrases
words() {
	perl -ne '
		if ($ARGV !~ m{^sql/} || $ARGV =~ m{^sql/impilo_fdw--} || /^--/) {
			while (/\b(anew|lest|nobody|whoever|whomever|heed(?:s|ed)?|mend(?:s|ed|ing)?|astray|shall|doubt(?:s|ed|ful)?
				|in[ ]silence|at[ ]hand|of[ ]late|for[ ]who|is[ ]no(?<!there[ ]is[ ]no)(?<!There[ ]is[ ]no)(?![ ]longer)
				|house|kin|whence|thence|hither|thereof|whereof|aught|nought|an[ ]own|of[ ]an[ ]own|by[ ]itself[ ]alone)\b/xg) {
				print "$ARGV:$.: $1\n";
			}
		}
		close ARGV if eof;' \
		src/*.[ch] src/*/*.[ch] sql/*.sql ./*.md docs/*.md Makefile
}

# broken_links PAGE...: links to files that do not exist, and to headings that
# the page does not have
broken_links() {
	perl -CSD -Mutf8 -e '
		use File::Basename;
		my %anchors;

		# GitHub: lower case, without punctuation, spaces become hyphens
		sub anchors {
			my ($page) = @_;
			my (%seen, $code);

			open my $in, "<", $page or return {};
			while (<$in>) {
				$code = !$code if /^ *```/;
				next if $code || !/^#+ +(.*?) *$/;
				my $anchor = lc $1 =~ s/\[([^\]]*)\]\([^)]*\)/$1/gr;
				$anchor =~ s/[^\w\- ]//g;
				$anchor =~ tr/ /-/;
				$seen{$anchor}++;
			}
			return \%seen;
		}
		foreach my $page (@ARGV) {
			my $code;

			open my $in, "<", $page or die "$page: $!";
			while (<$in>) {
				$code = !$code if /^ *```/;
				next if $code;
				s/`[^`]*`//g;
				while (/\]\(([^)\s]+)\)/g) {
					my ($link, $anchor) = split /#/, $1, 2;
					next if $link =~ /^[a-z]+:/;
					my $target = $link eq "" ? $page : dirname($page) . "/$link";
					if (!-e $target) {
						print "$page:$.: $1\n";
					} elsif (defined $anchor) {
						$anchors{$target} //= anchors($target);
						print "$page:$.: $1\n" unless $anchors{$target}{$anchor};
					}
				}
			}
		}' "$@"
}

check_manual() {
	local -a pages=(./*.md docs/*.md test/*/README.md)
	local page

	broken_links "${pages[@]}" |
		rule "every link of the manual leads somewhere" \
			"The file or the heading of each place does not exist."

	for page in docs/*.md; do
		grep -qF "]($page" README.md || echo "$page"
	done | rule "README.md leads to every page of docs/" "A page without a link is not found."

	perl test/bench/plot.pl docs/performance.md 2>&1 | diff -q - docs/performance.svg |
		rule "docs/performance.svg belongs to the table" \
			"Run: test/bench/plot.pl >docs/performance.svg"

	wc -l README.md | awk '$1 > 125 { print $2 ": " $1 " lines" }' |
		rule "README.md has two screens" "Move details to a page of docs/, and leave a link."
}

check_scripts() {
	local -a scripts=(test/*.sh test/with-sandbox debian/tests/installcheck .ci/run test/sandbox/ctl test/*/*.sh)
	local file

	for file in "${scripts[@]}"; do
		bash -n "$file" 2>&1
	done | rule "the scripts parse" "Bash reports a missing quote only when it reaches it."

	if ! command -v shellcheck >/dev/null; then
		skip 'shellcheck' 'shellcheck is not installed'
		return
	fi
	shellcheck -x -S warning -f gcc "${scripts[@]}" |
		rule "shellcheck reports nothing" \
			"An unquoted variable removes the wrong files if it contains a space."
}

# Rules that concern all modules.
check_whole() {
	test/architecture.sh circles | rule "no two modules use each other" \
		"Such modules are one module.  Each name printed is a .c file with its .h file."

	test/architecture.sh stale | rule "docs/architecture.svg is up to date" \
		"Run: test/architecture.sh (requires graphviz)"

	words | rule "plain English" \
		"Use the words of PostgreSQL's documentation, and name the actor."

	comm -3 <(grep -ohE 'ExplainProperty[A-Za-z]*\("[^"]+"' "${sources[@]}" | cut -d'"' -f2 | sort -u) \
		<(sed -n '/^## Labels of EXPLAIN/,/^## /s/^| `\([^`]*\)` .*/\1/p' docs/reference.md | sort -u) |
		rule "docs/reference.md explains every label of EXPLAIN, and no others" \
			"The first column has labels that are not explained, the second unknown labels."
}

case ${1:-} in
	'')
		check_layout
		check_modules
		check_symbols
		check_code
		check_versions
		check_promises
		check_manual
		check_scripts
		check_whole
		echo "1..$number"
		test/architecture.sh numbers | sed 's/^/# /'
		[ "$failures" = 0 ]
		;;
	--fix) fix_layout ;;
	--typedefs) write_typedefs ;;
	--words) words ;;
	*)
		echo 'usage: test/style.sh [--fix | --typedefs | --words]' >&2
		exit 2
		;;
esac
