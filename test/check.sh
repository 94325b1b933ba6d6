#!/bin/bash
# bash test/check.sh [--keep | --help] [PART...]
#
# Builds the extension with warnings as errors and runs every test, or only
# the PARTs named.  The parts are build, clang, release, style, unit, fuzz,
# sandbox, regress, tap, sanitize and valgrind.  Two parts run if they are named
# or SLOW=1 is set: compilers runs the regression tests with extensions built by
# gcc without optimization and by clang with and without; assert runs them and
# random SQL in a PostgreSQL built with assertions.  The exit code is 0 if every
# test passed.  The last line is "N passed, N failed".
#
# Runs on a bare Debian or Ubuntu as root or as a user with sudo.  Installs
# missing packages with apt-get.  Builds in a copy of the checkout, installs
# into a copy of PostgreSQL and starts its own servers.  Removes everything
# except the packages at the end.
#
#   --keep           keep the private folder with all logs, and print its name
#   SLOW=1           run for hours: longer versions of some tests
#   FUZZ_SECONDS=    seconds for each fuzz target (15, or 3600 with SLOW=1)
#   IMPILO_SECONDS=  seconds for generated documents (15, or 3600 with SLOW=1)
#   PG_CONFIG=       use this PostgreSQL instead of the newest one installed

set -uo pipefail

# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

all_parts='build clang release style unit fuzz sandbox regress tap sanitize valgrind'
[ -z "${SLOW:-}" ] || all_parts+=' compilers assert'

#----------------------------------------------------------------------
# As the caller: install packages, then run this script in the private folder
#----------------------------------------------------------------------

outside() {
	local part packages cron

	for part in "$@"; do
		case " --keep $all_parts compilers assert " in
			*" $part "*) ;;
			*) die "unknown part: $part (parts: $all_parts compilers assert; see --help)" ;;
		esac
	done

	packages='gcc libc6-dev make pkg-config git curl ca-certificates openssl perl util-linux'
	packages+=' libcurl4-openssl-dev libjson-c-dev libmicrohttpd-dev zlib1g-dev'
	packages+=' clang libclang-rt-dev libipc-run-perl valgrind shellcheck'
	case " $* $all_parts" in
		*' assert'*) packages+=' bison flex' ;;
	esac
	# shellcheck disable=SC2086
	need $packages
	may_need pg-bsd-indent || say 'pg_bsd_indent is not available: the layout is not checked'
	may_need sqlsmith || say 'sqlsmith is not available: random SQL is not tested'
	# JDBC is tested where a JDK is installed, which is large
	may_need_all python3-psycopg python3-psycopg2 python3-asyncpg python3-pyodbc odbc-postgresql python3-sqlalchemy \
		python3-django libdbd-pg-perl ruby-activerecord ruby-pg node-pg libpostgresql-jdbc-java ||
		say 'not all clients are available: the tests of those that are missing are skipped'
	choose_postgres
	cron=postgresql-$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')-cron
	may_need "$cron" || say "$cron is not available: pg_cron is not tested"
	in_private_folder test/check.sh --inside "$@"
}

# The tests need only the program nginx; its package would start a service.
prepare_private_folder() {
	borrow nginx || say 'nginx is not available: tests that need it are skipped'
}

#----------------------------------------------------------------------
# In the private folder: one function for each part
#----------------------------------------------------------------------

# -Wno-...: PostgreSQL's own headers do not compile without these warnings
strict='-Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare'
strict+=' -Wno-missing-field-initializers'
# clang does not know every flag of a PostgreSQL that was built by gcc
strict_clang="$strict -Wno-unknown-warning-option -Wno-ignored-optimization-argument"
strict_clang+=' -Wno-ignored-attributes'

# build_in FOLDER CC FLAGS: builds the extension and the sandbox in a new copy
build_in() {
	local folder=$1 cc=$2 flags=$3

	mkdir -p "$folder"
	tar -C "$source" --exclude='*.o' --exclude=impilo_fdw.so --exclude=impilo_sandbox \
		--exclude=./test/fuzz --exclude=./test/unit --warning=no-file-changed -cf - . | tar -C "$folder" -xf -
	make -s -C "$folder" CC="$cc" PG_CFLAGS="$flags" PG_CONFIG="$PG_CONFIG" with_llvm=no &&
		make -s -C "$folder/test/sandbox" CC="$cc"
}

part_build() {
	make -s -j2 PG_CFLAGS="$strict -DUSE_ASSERT_CHECKING" with_llvm=no PG_CONFIG="$PG_CONFIG" &&
		make -s -j2 -C test/sandbox &&
		make -s install PG_CFLAGS="$strict -DUSE_ASSERT_CHECKING" with_llvm=no PG_CONFIG="$PG_CONFIG" &&
		built
}

part_clang() {
	build_in "$HOME_FOLDER/clang" clang "$strict_clang -DUSE_ASSERT_CHECKING" && built
}

# As users build it: variables that only assertions use cause no warning.
part_release() {
	build_in "$HOME_FOLDER/release" gcc "$strict" && built
}

built() {
	echo 'ok 1 - no warning'
}

part_style() {
	test/style.sh
}

part_unit() {
	make -s -C test/unit check
}

part_fuzz() {
	local seconds=${FUZZ_SECONDS:-$([ -n "${SLOW:-}" ] && echo 3600 || echo 15)}

	make -s -j2 -C test/fuzz &&
		make -s -k -j2 -O -C test/fuzz run SECONDS="$seconds" 2>&1 |
		awk '!/# Uses: [0-9]+$/ { print } /stat::number_of_executed_units/ { print "ok " ++n " - " $2 " inputs" }'
}

part_sandbox() {
	bash test/sandbox/selftest.sh
}

part_regress() {
	mkdir -p "$HOME_FOLDER/regress"
	start_postgres "$HOME_FOLDER/regress"
	make -s installcheck TAP_TESTS= PG_CONFIG="$PG_CONFIG" with_llvm=no || return
	[ -z "${SLOW:-}" ] || regress_in_parallel
}

# The regression tests again, in a parallel worker where possible.
regress_in_parallel() {
	local setting

	setting=$("$BINDIR/psql" -XAtc "SELECT name FROM pg_settings
		WHERE name IN ('force_parallel_mode', 'debug_parallel_query')")
	PGOPTIONS="-c $setting=regress" \
		make -s installcheck TAP_TESTS= PG_CONFIG="$PG_CONFIG" with_llvm=no
}

# Most tests wait for a slow network most of the time, so three run at once.
part_tap() {
	make -s installcheck REGRESS= PG_CONFIG="$PG_CONFIG" PROVE_FLAGS='-v --timer -j3'
}

# regress_with NAME CC FLAGS: runs the regression tests with an extension built
# by CC, in a separate copy of PostgreSQL in $HOME_FOLDER/NAME
regress_with() {
	local home=$HOME_FOLDER/$1

	build_in "$home/source" "$2" "$3" || return
	(
		private_postgres "$home/postgres"
		cd "$home/source" &&
			make -s install with_llvm=no PG_CONFIG="$PG_CONFIG" || exit
		start_postgres "$home"
		make -s installcheck TAP_TESTS= PG_CONFIG="$PG_CONFIG" with_llvm=no && exit
		head -n 200 regression.diffs
		exit 1
	)
}

# The regression tests again, with an extension built with gcc's sanitizer for
# undefined behavior, which writes its findings to the server's log.
part_sanitize() {
	local status=0

	export UBSAN_OPTIONS=print_stacktrace=1
	regress_with sanitize gcc '-fsanitize=undefined,float-cast-overflow -DUSE_ASSERT_CHECKING' || status=1
	nm -D "$HOME_FOLDER/sanitize/source/impilo_fdw.so" | grep __ubsan_handle >/dev/null || {
		echo 'not ok - the extension is built with the sanitizer'
		return 1
	}
	if grep -aE -A 20 'runtime error:|PANIC|terminated by signal' "$HOME_FOLDER/sanitize/server.log"; then
		echo 'not ok - the sanitizer reports nothing'
		return 1
	fi
	echo 'ok - the sanitizer reports nothing'
	return $status
}

# The part regress has the extension built by gcc with -O2.  glibc's headers
# warn if _FORTIFY_SOURCE, one of Debian's flags, is used without optimization.
part_compilers() {
	local status=0

	regress_with gcc-O0 gcc "$strict -O0 -Wno-cpp" || status=1
	regress_with clang-O2 clang "$strict_clang -O2" || status=1
	regress_with clang-O0 clang "$strict_clang -O0 -Wno-cpp" || status=1
	return $status
}

part_valgrind() {
	test/valgrind.sh
}

# Not with debug_discard_caches: each statement would take seconds, and our
# connections would be closed all the time.
part_assert() {
	local folder=$HOME_FOLDER/assert

	PG_CONFIG=$(test/assert-server.sh "$folder") || return 1
	BINDIR=$("$PG_CONFIG" --bindir)
	build_in "$folder/extension" gcc "$strict -DUSE_ASSERT_CHECKING" &&
		cd "$folder/extension" &&
		make -s install PG_CONFIG="$PG_CONFIG" with_llvm=no || return 1
	start_postgres "$folder"
	make -s installcheck TAP_TESTS= PG_CONFIG="$PG_CONFIG" with_llvm=no &&
		make -s installcheck REGRESS= PG_CONFIG="$PG_CONFIG" PROVE_FLAGS='-v --timer' \
			PROVE_TESTS='test/t/070_sqlsmith.pl'
}

#----------------------------------------------------------------------
# Running the parts
#----------------------------------------------------------------------

# count LOG: prints "PASSED FAILED".  Tools print "ok N" or "not ok N" for a
# test, "test NAME ... ok" (pg_regress up to 15), or "N passed, N failed" for
# many.
count() {
	awk '
		/^(ok|not ok)( |$).*# (TODO|SKIP|skip)/ { next }
		/^ok( [0-9]+)? / || /^ok [0-9]+$/ { passed++; next }
		/^not ok/ { failed++; next }
		/^(test|     )? *[a-z_0-9]+ +\.\.\. ok/ { passed++; next }
		/^(test|     )? *[a-z_0-9]+ +\.\.\. FAILED/ { failed++; next }
		/^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
		END { print passed + 0, failed + 0 }' "$1"
}

# excerpt PART LOG: prints the lines of the log that explain a failure
excerpt() {
	local part=$1 log=$2 name

	case $part in
		build | clang | release)
			head -n 80 "$log"
			return
			;;
		regress)
			[ ! -s regression.diffs ] || head -n 300 regression.diffs
			;;
		assert)
			head -n 300 "$HOME_FOLDER/assert/extension/regression.diffs" 2>/dev/null
			;;
	esac
	if [ "$part" = tap ]; then
		# a test that dies writes the reason to its own log
		{
			sed -n 's/^test\/t\/\([^ ]*\)\.pl .*Wstat.*/\1/p' "$log"
			grep -laE '^\[[^]]*\]\([^)]*\) not ok' tmp_check/log/regress_log_* | sed 's/.*regress_log_//'
		} | sort -u | while read -r name; do
			echo "-- $name"
			grep -aE -A12 '[^ ]* *(not ok|#   Failed)' "tmp_check/log/regress_log_$name" | head -n 60
			tail -n 12 "tmp_check/log/regress_log_$name"
		done
		# prove prints no summary if it is stopped: the last lines name the test
		sed -n '/^Test Summary Report/,$p' "$log" | grep . || tail -n 5 "$log"
		return
	fi
	grep -avE '^(ok|test) ' "$log" | grep -av '^#  *initializing database' | tail -n 120
}

# numbered PART: prints "[2/11] clang"
numbered() {
	local part number=0

	for part in $wanted; do
		number=$((number + 1))
		[ "$part" != "$1" ] || printf '[%*d/%d] %-9s' "${#total}" "$number" "$total" "$part"
	done
}

# run PART: runs it with its output in a log, and prints the result
run() {
	local part=$1 log=$HOME_FOLDER/log/$1.log start=$SECONDS status=0
	local passed failed text limit=$patience

	# A hanging test is stopped here.  Some parts are slow on a busy machine.
	case $part in valgrind | compilers) limit=$((2 * patience)) ;; esac
	echo "$SECONDS" >"$HOME_FOLDER/running/$part"
	say "$(numbered "$part") started"
	timeout -k 10 "$limit" bash test/check.sh --part "$part" >"$log" 2>&1 </dev/null ||
		status=$?
	rm -f "$HOME_FOLDER/running/$part"
	read -r passed failed < <(count "$log")
	if [ $status -ne 0 ] && [ "$failed" = 0 ]; then
		failed=1
	fi
	if [ $status -eq 0 ] && [ $((passed + failed)) = 0 ]; then
		echo "$part ran no test" >>"$log"
		failed=1
	fi
	echo "$passed $failed" >"$HOME_FOLDER/result/$part"
	text=$(printf '%s %6d passed %4d failed %5d s' \
		"$(numbered "$part")" "$passed" "$failed" $((SECONDS - start)))
	if [ "$failed" -gt 0 ]; then
		[ $status != 124 ] || text+=$'\n'"$part was stopped after $limit s"
		text+=$'\n'"---- $part, exit code $status"
		text+=$'\n'$(excerpt "$part" "$log")
		text+=$'\n'"---- end of $part"
	fi
	printf '%s\n' "$text"
}

# prints a line for each running part every 15 seconds
report_progress() {
	local part passed failed start file

	while sleep 15 >/dev/null; do
		for file in "$HOME_FOLDER"/running/*; do
			part=${file##*/}
			read -r start 2>/dev/null <"$file" || continue
			[ $((SECONDS - start)) -ge 10 ] || continue
			read -r passed failed < <(count "$HOME_FOLDER/log/$part.log")
			say "$(numbered "$part") $(printf '%6d passed %4d failed %5d s ...' "$passed" "$failed" $((SECONDS - start)))"
		done
	done
}

# lane PART...: runs the wanted parts among these, one after another
lane() {
	local part

	for part in "$@"; do
		case " $wanted " in
			*" $part "*) run "$part" ;;
		esac
	done
}

inside() {
	local argument passed failed sum_passed=0 sum_failed=0 progress lanes=()

	wanted=
	for argument in "$@"; do
		if [ "$argument" = --keep ]; then
			touch "$HOME_FOLDER/keep"
		else
			wanted+=" $argument"
		fi
	done
	wanted=${wanted:-$all_parts}
	# every part but these needs the build
	case " $wanted " in
		*' build '*) ;;
		*) for argument in $wanted; do
			case $argument in
				style | unit | fuzz) ;;
				*) wanted="build $wanted" && break ;;
			esac
		done ;;
	esac
	total=$(wc -w <<<"$wanted")
	# seconds for one part
	case "${SLOW:+slow}$wanted " in
		slow*) patience=36000 ;;
		*' assert '*) patience=7200 ;;
		*) patience=1500 ;;
	esac
	patience=$((patience + 8 * ${FUZZ_SECONDS:-0} + ${IMPILO_SECONDS:-0}))
	source=$HOME_FOLDER/source
	mkdir -p "$HOME_FOLDER/log" "$HOME_FOLDER/result" "$HOME_FOLDER/running"
	cd "$source" || exit 1

	say "$("$PG_CONFIG" --version), $(gcc --version | head -n 1), $(clang --version | head -n 1)"
	private_postgres "$HOME_FOLDER/postgres"
	export PG_CONFIG BINDIR source HOME_FOLDER
	export PATH=$BINDIR:$PATH:$HOME_FOLDER/borrowed/usr/sbin

	report_progress &
	progress=$!
	lane build
	if read -r passed failed 2>/dev/null <"$HOME_FOLDER/result/build" && [ "$failed" -gt 0 ]; then
		say 'the build failed: the other parts are not run'
	else
		# three lanes for two cores, as the parts tap and sandbox wait a lot
		lane clang release unit valgrind &
		lanes+=($!)
		lane fuzz style sandbox sanitize &
		lanes+=($!)
		lane regress tap compilers assert
		wait "${lanes[@]}"
	fi
	kill "$progress"

	[ ! -e "$HOME_FOLDER/keep" ] || say "kept: $HOME_FOLDER"
	while read -r passed failed; do
		sum_passed=$((sum_passed + passed))
		sum_failed=$((sum_failed + failed))
	done < <(cat "$HOME_FOLDER/result"/*)
	say "$sum_passed passed, $sum_failed failed"
	[ $sum_failed = 0 ]
}

case ${1:-} in
	--help | -h)
		usage
		;;
	--inside)
		shift
		inside "$@"
		;;
	--part)
		"part_$2"
		;;
	*)
		outside "$@"
		;;
esac
