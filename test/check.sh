#!/bin/bash
# bash test/check.sh [--keep] [PART...]
#
# Builds the extension with warnings as errors and runs every test, or only
# the PARTs named: build clang release style unit fuzz sandbox regress tap
# sanitize valgrind, and assert: the regression tests and random SQL on a
# PostgreSQL built with assertions (SLOW=1, or where it is named).  Exits with
# 0 where all passed; its last line is "N passed, N failed".
#
# Runs on a bare Debian or Ubuntu as root or as a sudoer; installs what is
# missing with apt-get.  Builds in a copy of the checkout, installs into a
# copy of PostgreSQL, starts its own servers: nothing else on the machine is
# touched, and nothing stays behind.
#
#   --keep           leave the private folder with all logs, and say where it is
#   SLOW=1           hours, for what finds more the longer it runs
#   FUZZ_SECONDS=    of each fuzz target (15, or 3600 with SLOW=1)
#   IMPILO_SECONDS=  of the generated documents (15, or 3600 with SLOW=1)
#   PG_CONFIG=       another PostgreSQL than the newest installed one

set -uo pipefail

# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

all_parts='build clang release style unit fuzz sandbox regress tap sanitize valgrind'
[ -z "${SLOW:-}" ] || all_parts+=' assert'

#----------------------------------------------------------------------
# As the caller: packages, then the same script inside the private folder
#----------------------------------------------------------------------

outside() {
	local part packages

	for part in "$@"; do
		case " --keep $all_parts assert " in
			*" $part "*) ;;
			*) die "no such part: $part (there are: $all_parts assert)" ;;
		esac
	done

	packages='gcc libc6-dev make pkg-config curl ca-certificates openssl perl util-linux'
	packages+=' libcurl4-openssl-dev libjson-c-dev libmicrohttpd-dev zlib1g-dev'
	packages+=' clang libclang-rt-dev libipc-run-perl valgrind shellcheck'
	case " $* $all_parts" in
		*' assert'*) packages+=' bison flex' ;;
	esac
	# shellcheck disable=SC2086
	need $packages
	may_need pg-bsd-indent || say 'no pg_bsd_indent here: the layout is not checked'
	may_need sqlsmith || say 'no sqlsmith here: random SQL is not tested'
	choose_postgres
	in_private_folder test/check.sh --inside "$@"
}

# The package of nginx starts a service: a test needs the program alone.
furnish_private_folder() {
	borrow nginx || say 'no nginx here: what needs one is not tested'
}

#----------------------------------------------------------------------
# Inside: one function a part
#----------------------------------------------------------------------

# -Wno-...: what PostgreSQL's own headers do not pass
strict='-Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare'
strict+=' -Wno-missing-field-initializers'
# clang does not know all the flags that PostgreSQL was built with by gcc
strict_clang="$strict -Wno-unknown-warning-option -Wno-ignored-optimization-argument"
strict_clang+=' -Wno-ignored-attributes'

# build_in FOLDER CC FLAGS: a build of its own, of the sandbox too
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

# as users build it: what only an assertion uses must not be a warning
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

# everything once more, in a parallel worker where the planner may use one
regress_in_parallel() {
	local setting

	setting=$("$BINDIR/psql" -XAtc "SELECT name FROM pg_settings
		WHERE name IN ('force_parallel_mode', 'debug_parallel_query')")
	PGOPTIONS="-c $setting=regress" \
		make -s installcheck TAP_TESTS= PG_CONFIG="$PG_CONFIG" with_llvm=no
}

# Most of their time the tests wait for a network that is slow on purpose.
part_tap() {
	make -s installcheck REGRESS= PG_CONFIG="$PG_CONFIG" PROVE_FLAGS='-v --timer -j3'
}

# The regression tests once more, against an extension built with gcc's
# sanitizer for undefined behaviour, in a PostgreSQL of its own; what that
# finds it writes to the server's log.
part_sanitize() {
	local home=$HOME_FOLDER/sanitize status=0

	build_in "$home/source" gcc '-fsanitize=undefined,float-cast-overflow -DUSE_ASSERT_CHECKING' &&
		nm -D "$home/source/impilo_fdw.so" | grep __ubsan_handle >/dev/null || {
		echo 'not ok - it is built with the sanitizer'
		return 1
	}
	private_postgres "$home/postgres"
	cd "$home/source" || return 1
	make -s install with_llvm=no PG_CONFIG="$PG_CONFIG"
	export UBSAN_OPTIONS=print_stacktrace=1
	start_postgres "$home"
	make -s installcheck TAP_TESTS= PG_CONFIG="$PG_CONFIG" with_llvm=no || {
		status=1
		head -n 200 regression.diffs
	}
	if grep -aE -A 20 'runtime error:|PANIC|terminated by signal' "$home/server.log"; then
		echo 'not ok - the sanitizer finds nothing'
		return 1
	fi
	echo 'ok - the sanitizer finds nothing'
	return $status
}

part_valgrind() {
	test/valgrind.sh
}

# On a server that checks itself.  Not under debug_discard_caches: there each
# statement takes seconds, and our connections, too, begin anew all the time.
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
# Counting and telling
#----------------------------------------------------------------------

# count LOG: "PASSED FAILED" as the tools print them: a line "ok N" or
# "not ok N" for each, or "test NAME ... ok" (pg_regress until 15), or one
# line "N passed, N failed" for many
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

# what of a log helps who has to mend it
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
		# what a test says before it dies is in a log of its own
		sed -n 's/^test\/t\/\([^ ]*\)\.pl .*Wstat.*/\1/p' "$log" | while read -r name; do
			echo "-- $name"
			grep -aE -A12 '[^ ]* *(not ok|#   Failed)' "tmp_check/log/regress_log_$name" | head -n 60
			tail -n 12 "tmp_check/log/regress_log_$name"
		done
		# where it was stopped there is no summary: the last words tell the test
		sed -n '/^Test Summary Report/,$p' "$log" | grep . || tail -n 5 "$log"
		return
	fi
	grep -avE '^(ok|test) ' "$log" | grep -av '^#  *initializing database' | tail -n 120
}

# run PART: its output goes to a log; one line tells how it went
run() {
	local part=$1 log=$HOME_FOLDER/log/$1.log start=$SECONDS status=0
	local passed failed text limit=$patience

	# A hang ends here, before it ends the patience of who waits for us.
	# Where others want the processor too, valgrind suffers most.
	[ "$part" != valgrind ] || limit=$((2 * patience))
	timeout -k 10 "$limit" bash test/check.sh --part "$part" >"$log" 2>&1 </dev/null ||
		status=$?
	read -r passed failed < <(count "$log")
	if [ $status -ne 0 ] && [ "$failed" = 0 ]; then
		failed=1
	fi
	if [ $status -eq 0 ] && [ $((passed + failed)) = 0 ]; then
		echo "$part ran no test" >>"$log"
		failed=1
	fi
	echo "$passed $failed" >"$HOME_FOLDER/result/$part"
	text=$(printf '%-9s %6d passed %4d failed %5d s' \
		"$part" "$passed" "$failed" $((SECONDS - start)))
	if [ "$failed" -gt 0 ]; then
		text+=$'\n'"---- $part, exit code $status"
		text+=$'\n'$(excerpt "$part" "$log")
		text+=$'\n'"---- end of $part"
	fi
	printf '%s\n' "$text"
}

# lane PART...: those asked for, one after the other
lane() {
	local part

	for part in "$@"; do
		case " $wanted " in
			*" $part "*) run "$part" ;;
		esac
	done
}

inside() {
	local argument passed failed sum_passed=0 sum_failed=0

	wanted=
	for argument in "$@"; do
		if [ "$argument" = --keep ]; then
			touch "$HOME_FOLDER/keep"
		else
			wanted+=" $argument"
		fi
	done
	wanted=${wanted:-$all_parts}
	# seconds for one part
	case "${SLOW:+slow}$wanted " in
		slow*) patience=36000 ;;
		*' assert '*) patience=7200 ;;
		*) patience=420 ;;
	esac
	patience=$((patience + 8 * ${FUZZ_SECONDS:-0} + ${IMPILO_SECONDS:-0}))
	source=$HOME_FOLDER/source
	mkdir -p "$HOME_FOLDER/log" "$HOME_FOLDER/result"
	cd "$source" || exit 1

	say "$("$PG_CONFIG" --version), $(gcc --version | head -n 1), $(clang --version | head -n 1)"
	private_postgres "$HOME_FOLDER/postgres"
	export PG_CONFIG BINDIR source HOME_FOLDER
	export PATH=$BINDIR:$PATH:$HOME_FOLDER/borrowed/usr/sbin

	# All others need the build; two lanes, as there are two cores at least.
	case $wanted in
		style | unit | fuzz) ;;
		*) run build ;;
	esac
	if read -r passed failed 2>/dev/null <"$HOME_FOLDER/result/build" && [ "$failed" -gt 0 ]; then
		say 'without the build there is nothing to test'
	else
		lane clang release unit fuzz sandbox style valgrind &
		lane regress tap sanitize assert
		wait
	fi

	[ ! -e "$HOME_FOLDER/keep" ] || say "kept: $HOME_FOLDER"
	while read -r passed failed; do
		sum_passed=$((sum_passed + passed))
		sum_failed=$((sum_failed + failed))
	done < <(cat "$HOME_FOLDER/result"/*)
	say "$sum_passed passed, $sum_failed failed"
	[ $sum_failed = 0 ]
}

case ${1:-} in
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
